import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactElement, useReducer, useState } from "react";
// In your application: "headgate/client" and "headgate/react".
import { createProducer } from "../../src/client/client.ts";
import { HeadgateProvider } from "../../src/react/react.ts";
import { PANEL_NAMES, PANELS } from "./panels.tsx";

const queries = new QueryClient();

/** Where a token would come from, if the server asked for one: it is asked before each connection. */
async function fetchToken(): Promise<string | undefined> {
  document.dispatchEvent(new Event("token-asked"));
  return undefined;
}

export function App({
  server,
  panels,
}: {
  readonly server: string;
  readonly panels: readonly string[];
}): ReactElement {
  const [shown, setShown] = useState(panels);
  const [types, setTypes] = useState(["order.*"]);
  const [, renderAgain] = useReducer((count: number) => count + 1, 0);

  return (
    <QueryClientProvider client={queries}>
      {/* Other arrays and functions at each render, and equal options: the stream stays. */}
      <HeadgateProvider url={server} types={[...types]} token={() => fetchToken()}>
        <h1>Headgate with React</h1>
        <p>
          {PANEL_NAMES.map((name) => (
            <label key={name}>
              <input
                type="checkbox"
                id={`show-${name}`}
                checked={shown.includes(name)}
                onChange={({ target }) =>
                  setShown(target.checked ? [...shown, name] : shown.filter((one) => one !== name))
                }
              />
              {name}
            </label>
          ))}
        </p>
        <p>
          <button id="publish" onClick={() => void publish(server)}>
            Publish an order
          </button>
          <button id="payments" onClick={() => setTypes(["order.*", "payment:*"])}>
            Payments too
          </button>
          <button id="render" onClick={renderAgain}>
            Render again
          </button>
        </p>
        <main>
          {PANELS.filter(({ name }) => shown.includes(name)).map(({ name, Panel }) => (
            <Panel key={name} server={server} />
          ))}
        </main>
      </HeadgateProvider>
    </QueryClientProvider>
  );
}

let orders = 0;

async function publish(server: string): Promise<void> {
  orders += 1;
  const data = { order: orders, total: orders * 10 };
  await createProducer({ url: server }).publish({ type: "order.created", data });
}
