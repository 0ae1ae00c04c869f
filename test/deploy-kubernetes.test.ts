import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { at, listAt, manifest, readRepository, REPOSITORY } from "./support/deploy-files.ts";
import { pipAvailable, pipPackages } from "./support/pip-packages.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

// Packages come over the network when they are first asked for.
setDefaultTimeout(120_000);

const FOLDER = join(REPOSITORY, "deploy/kubernetes");

/** What is of Kubernetes itself; schemas of others (Kustomize, the Prometheus operator) are not at hand. */
const MANIFESTS = [
  "namespace",
  "deployment",
  "service",
  "disruption-budget",
  "network-policy",
  "secret.example",
  "ingress/ingress",
  "autoscaling/autoscaler",
];

/** Where they are put together, or not Kubernetes's own. */
const OTHERS = [
  "kustomization",
  "ingress/kustomization",
  "monitoring/kustomization",
  "monitoring/pod-monitor",
  "autoscaling/kustomization",
  "autoscaling/prometheus-adapter",
];

const pod = at(manifest("deployment"), "spec", "template", "spec");

test("every manifest is checked, or known to be none of Kubernetes's own", () => {
  const there = [...new Bun.Glob("**/*.yaml").scanSync(FOLDER)].map((path) => path.slice(0, -5));
  expect(there.toSorted()).toEqual([...MANIFESTS, ...OTHERS].toSorted());
});

test("what is put together is there", () => {
  const listed = ["", "ingress/", "monitoring/", "autoscaling/"].flatMap((folder) =>
    listAt(manifest(`${folder}kustomization`), "resources").map(
      (name) => `${folder}${String(name)}`,
    ),
  );
  const names = listed.map((path) => path.replace(".yaml", "")).toSorted();
  const applied = [...MANIFESTS, "monitoring/pod-monitor"].filter(
    (name) => name !== "secret.example",
  );
  expect(names).toEqual(applied.toSorted());
  // The folders that can be switched on are named beside the line.
  const text = readRepository("deploy/kubernetes/kustomization.yaml");
  for (const folder of ["ingress", "monitoring", "autoscaling"])
    expect(text).toInclude(`- ${folder}`);
});

test("everything is of the same pods", () => {
  const label = { "app.kubernetes.io/name": "headgate" };
  expect(at(manifest("deployment"), "spec", "template", "metadata", "labels")).toEqual(label);
  expect(at(manifest("deployment"), "spec", "selector", "matchLabels")).toEqual(label);
  expect(at(manifest("service"), "spec", "selector")).toEqual(label);
  expect(at(manifest("disruption-budget"), "spec", "selector", "matchLabels")).toEqual(label);
  expect(at(manifest("network-policy"), "spec", "podSelector", "matchLabels")).toEqual(label);
  expect(at(manifest("monitoring/pod-monitor"), "spec", "selector", "matchLabels")).toEqual(label);
  const spread = listAt(pod, "topologySpreadConstraints");
  expect(spread.map((each) => at(each, "labelSelector", "matchLabels"))).toEqual([label, label]);
});

test("G11 the pod has no rights, a read-only root, and nobody else's variables", () => {
  expect(at(pod, "enableServiceLinks")).toBe(false);
  expect(at(pod, "automountServiceAccountToken")).toBe(false);
  expect(at(pod, "securityContext")).toMatchObject({
    runAsNonRoot: true,
    seccompProfile: { type: "RuntimeDefault" },
  });
  expect(at(pod, "containers", 0, "securityContext")).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
});

describe.skipIf(!pipAvailable())("Kubernetes's own schemas", () => {
  /** The oldest version that has all of what is used, and the newest that there are schemas of. */
  test.each(["1.30", "1.37"])("of version %s allow every manifest", async (version) => {
    const paths = MANIFESTS.map((name) => join(FOLDER, `${name}.yaml`));
    const { code, said } = await validate(version, paths);
    expect(said.match(/ passed for resource /g)).toHaveLength(MANIFESTS.length);
    expect(said).not.toMatch(/WARN|ERROR/);
    expect(code).toBe(0);
  });

  test("allow nothing that is misspelt", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "deployment.yaml");
    const text = readRepository("deploy/kubernetes/deployment.yaml");
    writeFileSync(path, text.replace("readinessProbe:", "readynessProbe:"));
    const { code, said } = await validate("1.37", [path]);
    expect(said).toInclude("readynessProbe");
    expect(code).not.toBe(0);
  });
});

async function validate(
  version: string,
  paths: readonly string[],
): Promise<{ code: number; said: string }> {
  const { pythonPath, bin } = await pipPackages(["kubernetes-validate==1.37.0"]);
  const command = [join(bin, "kubernetes-validate"), "--strict", "-k", version, ...paths];
  const child = Bun.spawnSync(["python3", ...command], {
    env: { ...process.env, PYTHONPATH: pythonPath },
  });
  return { code: child.exitCode, said: `${child.stdout.toString()}${child.stderr.toString()}` };
}
