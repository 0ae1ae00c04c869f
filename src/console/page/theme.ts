import { byId } from "./dom.ts";

const STORED_AS = "headgate-theme";

/** Dark or light as the system has it, until somebody chooses; `onChange` is called for either. */
export function followTheme(onChange: () => void): void {
  const { dataset } = document.documentElement;
  const prefersLight = matchMedia("(prefers-color-scheme: light)");
  const toggle = byId("theme", HTMLButtonElement);
  const current = (): string => dataset["theme"] ?? (prefersLight.matches ? "light" : "dark");
  const show = (): void => {
    const other = current() === "dark" ? "Light" : "Dark";
    toggle.textContent = other;
    toggle.setAttribute("aria-label", `Change to the ${other.toLowerCase()} theme`);
    onChange();
  };
  const chosen = read();
  if (chosen === "dark" || chosen === "light") dataset["theme"] = chosen;
  prefersLight.addEventListener("change", show);
  toggle.addEventListener("click", () => {
    dataset["theme"] = current() === "dark" ? "light" : "dark";
    write(dataset["theme"]);
    show();
  });
  show();
}

function read(): string | null {
  try {
    return localStorage.getItem(STORED_AS);
  } catch {
    return null;
  }
}

function write(theme: string): void {
  try {
    localStorage.setItem(STORED_AS, theme);
  } catch {
    // Chosen for as long as the page is open.
  }
}
