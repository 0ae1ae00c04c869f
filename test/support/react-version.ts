import type { BunPlugin } from "bun";

/** Of the packages `react` and `react-dom`, and `react18` and `react-dom18`. */
export type ReactVersion = 18 | 19;

/** Bundles with this React, in its development version: in the other one StrictMode does nothing. */
export function reactPlugin(version: ReactVersion): BunPlugin {
  const suffix = version === 18 ? "18" : "";
  return {
    name: `React ${version}`,
    setup: (build) => {
      build.config.define = { ...build.config.define, "process.env.NODE_ENV": '"development"' };
      build.onResolve({ filter: /^react(?:-dom)?(?:\/|$)/ }, ({ path }) => {
        const installed = path.replace(/^react(?:-dom)?/, (name) => `${name}${suffix}`);
        return { path: Bun.resolveSync(installed, import.meta.dir) };
      });
    },
  };
}
