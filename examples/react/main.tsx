import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { PANEL_NAMES } from "./panels.tsx";

// `?server=` says where Headgate is, and `?panels=` what is shown at first.
const query = new URLSearchParams(location.search);
const server = query.get("server") ?? "http://127.0.0.1:3000";
const panels = query.get("panels")?.split(",") ?? PANEL_NAMES;

const root = document.querySelector("#root");
if (!root) throw new Error("The page has no place for the application");
createRoot(root).render(
  <StrictMode>
    <App server={server} panels={panels} />
  </StrictMode>,
);
