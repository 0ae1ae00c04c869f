import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactElement, type ReactNode, useCallback, useEffect, useRef, useState } from "react";
// In your application: "headgate/react".
import {
  type EventHandler,
  useDashboardStream,
  useEvents,
  useEventSource,
  useHeadgate,
  useSSE,
} from "../../src/react/react.ts";

/** What each part of the page is given. */
interface PanelProps {
  readonly server: string;
}

/** The parts of the page: one for each way to read. */
export const PANELS: readonly {
  readonly name: string;
  readonly Panel: (props: PanelProps) => ReactElement;
}[] = [
  { name: "status", Panel: StatusPanel },
  { name: "orders", Panel: OrdersPanel },
  { name: "feed", Panel: FeedPanel },
  { name: "notifications", Panel: NotificationsPanel },
  { name: "dashboard", Panel: DashboardPanel },
];

export const PANEL_NAMES = PANELS.map(({ name }) => name);

/** The provider's stream: rendered when its status changes, and for no event. */
function StatusPanel(): ReactElement {
  const { status, isConnected, error, subscribe } = useHeadgate();
  const count = useRef<HTMLOutputElement>(null);

  useEffect(() => {
    let events = 0;
    return subscribe("*", () => {
      events += 1;
      // Counted without rendering: for what changes a thousand times a second.
      if (count.current) count.current.textContent = String(events);
    });
  }, [subscribe]);

  return (
    <Section name="status">
      <p data-status={status}>
        {isConnected ? "Connected" : status} {error?.message}
      </p>
      <p>
        Events: <output ref={count}>0</output>
      </p>
    </Section>
  );
}

/** What it keeps of the provider's events is its own state. */
function OrdersPanel(): ReactElement {
  const [texts, setTexts] = useState<readonly string[]>([]);
  useEvents("order.*", ({ text }) => setTexts((before) => [...before, text].slice(-1000)));
  return (
    <Section name="orders">
      <List texts={texts} />
    </Section>
  );
}

/** The newest message, for which it is rendered, and a query that is made anew when something has come. */
function FeedPanel({ server }: PanelProps): ReactElement {
  const [log, setLog] = useState<readonly string[]>([]);
  const note = (what: string): void => setLog((before) => [...before, what].slice(-20));
  const { status, lastMessage, connect, disconnect } = useSSE({
    url: `${server}/stream?types=order.*`,
    queryClient: useQueryClient(),
    invalidateQueries: [["recent"]],
    onConnect: () => note("connected"),
    onDisconnect: () => note("disconnected"),
    onError: ({ message }) => note(message),
  });
  const { data } = useQuery({
    queryKey: ["recent"],
    queryFn: async (): Promise<{ events: { payload: unknown }[] }> => {
      const response = await fetch(`${server}/events/recent?types=order.*&limit=5`);
      return response.json();
    },
  });
  return (
    <Section name="feed">
      <p data-status={status}>
        {status} <button onClick={connect}>Connect</button>
        <button onClick={disconnect}>Disconnect</button>
      </p>
      <List texts={data?.events.map(({ payload }) => JSON.stringify(payload)) ?? []} />
      <p className="newest">{lastMessage?.text ?? "Nothing yet"}</p>
      <p className="log">{log.join(", ")}</p>
    </Section>
  );
}

/** Handlers by the names of events. */
function NotificationsPanel({ server }: PanelProps): ReactElement {
  const [texts, setTexts] = useState<readonly string[]>([]);
  const { connected, addHandler, removeHandler } = useEventSource({
    url: server,
    userId: "ann",
    username: "Ann",
    types: ["payment:*"],
    debug: true,
  });
  const show = useCallback<EventHandler>(({ type, text }) => {
    setTexts((before) => [...before, `${type} ${text}`]);
  }, []);

  useEffect(() => {
    addHandler("payment:completed", show);
    return () => removeHandler("payment:completed", show);
  }, [addHandler, removeHandler, show]);

  return (
    <Section name="notifications">
      <p data-status={connected ? "open" : "other"}>{connected ? "Connected" : "Not connected"}</p>
      <List texts={texts} />
    </Section>
  );
}

/** The server's dashboard. */
function DashboardPanel({ server }: PanelProps): ReactElement {
  const { data, connected } = useDashboardStream({ url: server });
  return (
    <Section name="dashboard">
      <p data-status={connected ? "open" : "other"}>{connected ? "Connected" : "Not connected"}</p>
      <p>
        Health: <output>{data?.performance.healthScore ?? "?"}</output>
      </p>
    </Section>
  );
}

function Section({
  name,
  children,
}: {
  readonly name: string;
  readonly children: ReactNode;
}): ReactElement {
  const renders = useRef(0);
  renders.current += 1;
  return (
    <section id={name}>
      <h2>{name}</h2>
      {children}
      <p className="renders" data-renders={renders.current}>
        Rendered {renders.current} times
      </p>
    </section>
  );
}

function List({ texts }: { readonly texts: readonly string[] }): ReactElement {
  return (
    <ol>
      {texts.map((text, index) => (
        // Lines only ever come at the end, or all at once.
        <li key={index}>{text}</li>
      ))}
    </ol>
  );
}
