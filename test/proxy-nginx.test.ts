import { describe, setDefaultTimeout } from "bun:test";
import { isQuick } from "./support/effort.ts";
import { nginxAvailable, oneNginx, twoNginx } from "./support/nginx.ts";
import { testProxyInChromium } from "./support/proxy-browser-cases.ts";
import { testProxy } from "./support/proxy-cases.ts";

setDefaultTimeout(60_000);

describe.skipIf(isQuick || !nginxAvailable())("G5 behind nginx", () => {
  testProxy(oneNginx);
  testProxyInChromium(oneNginx);
});

describe.skipIf(isQuick || !nginxAvailable())("G5 G6 behind two nginx", () => {
  testProxy(twoNginx);
  testProxyInChromium(twoNginx);
});
