import type { DashboardData } from "../../dashboard/dashboard-data.ts";
import type { SourceStatus } from "../../log/source.ts";
import { systemClock } from "../../client/clock.ts";
import { fetchTransport } from "../../client/fetch-transport.ts";
import { problemText } from "../../client/problem.ts";
import type { CommandContext } from "../model/curl.ts";
import { EventStream } from "../model/event-stream.ts";
import { formatClock, formatDuration } from "../model/figures.ts";
import type { StreamState } from "../model/stream-state.ts";
import { Api, type Session } from "./api.ts";
import { Cards } from "./cards.ts";
import { byId, el, setText } from "./dom.ts";
import { showErrors } from "./errors-panel.ts";
import { listenForKeys } from "./keyboard.ts";
import { showReset } from "./notices.ts";
import { Polling } from "./polling.ts";
import { PublishForm } from "./publish-form.ts";
import { SignIn } from "./sign-in.ts";
import { StateBar } from "./state-bar.ts";
import { TailSection } from "./tail-section.ts";
import { followTheme } from "./theme.ts";
import { setTopicOrder } from "./topic-colour.ts";
import { TopicsPanel } from "./topics-panel.ts";
import { WindowPanel } from "./window-panel.ts";

/** What a page that was just opened begins with, so that it is not empty. */
const FIRST_EVENTS = 200;

const DASHBOARD_MS = 1000;
const STATUS_MS = 3000;

const api = new Api();
const cards = new Cards();
const topicsPanel = new TopicsPanel();
const windowPanel = new WindowPanel();
const publishForm = new PublishForm(api);
let session: Session | undefined;
/** Whether it is of this server, as it runs now. */
let isSessionFresh = false;
let streamState: StreamState["name"] = "stopped";
let channels: readonly string[] = [];

const commands = (): CommandContext => ({
  eventsUrl: api.url("events"),
  channels,
  needsToken: session?.authentication === "jwt",
});

const tail = new TailSection({
  commands,
  onChannels: (joined) => {
    channels = joined;
    stream.start();
  },
  onPaused: (paused) => stateBar.setPaused(paused),
});

const stream = new EventStream({
  transport: fetchTransport()({ url: eventsUrl, withCredentials: false, types: [] }),
  // Who signs in with another one begins anew.
  token: { get: () => Promise.resolve(api.token), isRenewable: false },
  onState,
  onEvent: (event) => tail.add(event),
  onReset: showReset,
  clock: systemClock,
  nowMs: () => performance.now(),
});

const stateBar = new StateBar({
  onRetry: () => (streamState === "refused" ? start() : stream.retryNow()),
});

/** What is said of figures that are no more those of now. */
let lastFigures = "no figures yet";

const signIn = new SignIn(api, { onChange: start });

const dashboard = new Polling({
  everyMs: DASHBOARD_MS,
  ask: () => api.request("api/dashboard"),
  onData: (body) => {
    delete document.body.dataset["stale"];
    // Of the same server and the same version as this page.
    const { data } = body as { data: DashboardData };
    cards.update(data);
    windowPanel.update(data.aggregation);
    showErrors(data.errors, data.timestamp);
    const { version, mode, uptime } = data.metadata;
    lastFigures = `figures of ${formatClock(data.timestamp).slice(0, 8)}`;
    setText(byId("server", HTMLElement), `${version} · ${mode} · up ${formatDuration(uptime)}`);
  },
  onFailure: () => {
    document.body.dataset["stale"] = "";
    cards.markStale();
    setText(byId("server", HTMLElement), lastFigures);
  },
});

const status = new Polling({
  everyMs: STATUS_MS,
  ask: () => api.request("kafka/status"),
  // As above.
  onData: (body) => topicsPanel.update(body as SourceStatus),
  onFailure: () => undefined,
});

followTheme(() => cards.redraw());
listenForKeys({
  move: (by) => tail.move(by),
  open: () => tail.open(),
  back: () => tail.back(),
  togglePause: () => tail.togglePause(),
  toNewest: () => tail.toNewest(),
});
addEventListener("online", () => stream.retryNow());
start();

function eventsUrl(): string {
  const query = ["envelope=true"];
  if (stream.lastEventId === undefined) query.push(`recent=${FIRST_EVENTS}`);
  if (channels.length > 0) {
    query.push(`channels=${channels.map((channel) => encodeURIComponent(channel)).join(",")}`);
  }
  return api.url(`events?${query.join("&")}`);
}

/** Begins anew: who looks at the page may have changed. */
function start(): void {
  stream.start();
  void loadSession();
}

function onState(state: StreamState): void {
  streamState = state.name;
  stateBar.setState(state);
  tail.setOpen(state.name === "live");
  // A server that was started again may allow something else.
  if (state.name === "disconnected") isSessionFresh = false;
  if (state.name === "live" && !isSessionFresh) void loadSession();
  if (state.name === "refused" && (state.status === 401 || state.status === 403)) {
    signIn.ask(state.why);
  }
}

async function loadSession(): Promise<void> {
  isSessionFresh = true;
  try {
    const response = await api.request("console/session");
    if (response.ok) applySession(await response.json());
    else if (response.status === 401) {
      signIn.ask(await problemText(response));
      publishForm.refuse("A token is needed.");
      withoutStatus("A token is needed to see this.");
    } else isSessionFresh = false;
  } catch {
    // The stream says that the server cannot be reached, and comes back for this too.
    isSessionFresh = false;
  }
}

function applySession(loaded: Session): void {
  session = loaded;
  const { topics, user, authentication } = loaded;
  if (topics.length > 0) signIn.hide();
  setTopicOrder(topics);
  tail.setSession(loaded);
  publishForm.setSession(loaded);
  setText(byId("who", HTMLElement), user === null ? "" : `as ${user}`);
  byId("change-token", HTMLButtonElement).hidden = authentication === "none";
  if (loaded.status) {
    dashboard.start();
    status.start();
  } else withoutStatus("The token does not have the claim status.");
}

/** Nothing is asked that would be refused. */
function withoutStatus(why: string): void {
  dashboard.stop();
  status.stop();
  cards.blank(why);
  for (const id of ["topics", "window", "errors"]) {
    byId(id, HTMLElement).replaceChildren(el("p", { class: "note", text: why }));
  }
  setText(byId("source", HTMLElement), "");
}
