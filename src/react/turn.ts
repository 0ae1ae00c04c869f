/** Makes of many calls in one turn of the event loop a single one, at its end. */
export function oncePerTurn(call: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      call();
    }, 0);
  };
}
