# curl -N, and a shell that comes back with the last id. Writes whole frames, as they came: one that
# was cut has no empty line at its end, and is dropped.
last_event_id=
while :; do
  frame= id=$last_event_id
  while IFS= read -r line; do
    case $line in
      "id: "*) id=${line#id: } ;;
    esac
    frame+=$line$'\n'
    if [ -z "$line" ]; then
      printf '%s' "$frame"
      last_event_id=$id frame=
    fi
  done < <(curl -sN "$1" ${last_event_id:+-H "Last-Event-ID: $last_event_id"})
  sleep 0.2
done
