// The program as one command: which it has, which it loads, and how it names them in what it prints.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { main } from "../../cli/main.ts";
import { commandLineAt, type Place } from "../../src/platform/invocation.ts";
import packageFile from "../../package.json" with { type: "json" };
import { runCli } from "./fake_io.ts";

const root = join(import.meta.dirname, "../..");
const names = [
  "train",
  "sweep",
  "generate",
  "chat",
  "serve",
  "info",
  "tokenize",
  "export",
  "import",
  "doctor",
  "bench",
];

test("--help lists every command with what it does, --version is the package's", async () => {
  for (const flag of ["--help", "-h", "help"]) {
    const { code, stdout, stderr } = await runCli(main, [flag]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const listed = [...stdout.matchAll(/^ {2}(\w+) +[A-Z].*\.$/gm)].map(([, name]) => name);
    expect(listed).toEqual(names);
  }
  for (const flag of ["--version", "-v"]) {
    const stdout = `${packageFile.version}\n`;
    expect(await runCli(main, [flag])).toEqual({ code: 0, stdout, stderr: "" });
  }
});

test.each(names)("%s takes its own flags, and has a script of its name", async (name) => {
  const { code, stdout } = await runCli(main, [name, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: npm run ${name} -- [flags]`);
  expect(packageFile.scripts).toMatchObject({ [name]: `node cli/start.js ${name}` });
  const unknown = await runCli(main, [name, "--nonsense"]);
  expect(unknown).toMatchObject({ code: 2, stdout: "" });
  expect(unknown.stderr).toMatch(/^error: There is no flag --nonsense\./);
});

test.each([
  [[], "Which command?"],
  [["trian"], 'There is no command "trian". Did you mean train?'],
  [["zzzzzzzz"], 'There is no command "zzzzzzzz".'],
  [["--device", "cpu"], 'There is no command "--device".'],
  [["constructor"], 'There is no command "constructor".'],
])("%j is refused", async (argv, sentence) => {
  const { code, stdout, stderr } = await runCli(main, argv);
  const known = `The commands are ${names.join(", ")}; --help tells what each of them does.`;
  expect({ code, stdout, stderr }).toEqual({
    code: 2,
    stdout: "",
    stderr: `error: ${sentence} ${known}\n`,
  });
});

test("a command loads no other's modules", () => {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { main } = await import(${JSON.stringify(pathToFileURL(join(root, "cli/main.ts")).href)});
    const out = { write() {} };
    await main(["generate", "--help"], {}, { stdout: out, stderr: out });
    console.log(JSON.stringify(loaded));`;
  const argv = ["--input-type=module", "-e", script];
  const { stdout } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  const loaded: string[] = JSON.parse(stdout);
  const commands = loaded.map((url) => /\/cli\/(\w+)\.ts$/.exec(url)?.[1]);
  expect(names.filter((name) => commands.includes(name))).toEqual(["generate"]);
});

describe("a command to be pasted", () => {
  const source = pathToFileURL(join(root, "src/platform/invocation.ts")).href;
  const installed = "file:///p/node_modules/microgpt-webgpu/dist/src/platform/invocation.js";
  const at = (place: Partial<Place>): Place => ({
    url: source,
    script: join(root, "cli/start.js"),
    env: {},
    cwd: root,
    windows: false,
    deno: false,
    ...place,
  });
  const npm = (npm_command: string) => ({ env: { npm_command } });
  const bin = "/p/node_modules/.bin/microgpt-webgpu";
  const deno = "deno run -A --unstable-webgpu";

  test.each<[string, Partial<Place>, string]>([
    ["npm run", npm("run-script"), "npm run info -- --model-dir out"],
    ["npm test", { ...npm("test"), script: bin }, "npm run info -- --model-dir out"],
    ["node cli/start.js", {}, "node cli/start.js info --model-dir out"],
    [
      "node cli/train.ts",
      { script: join(root, "cli/train.ts") },
      "node cli/info.ts --model-dir out",
    ],
    ["Deno", { deno: true }, `${deno} cli/start.js info --model-dir out`],
    [
      "npx deno",
      { deno: true, script: join(root, "cli/train.ts"), ...npm("exec") },
      `npx ${deno} cli/start.js info --model-dir out`,
    ],
    [
      "Deno, installed",
      { deno: true, url: installed, cwd: "/p" },
      `${deno} node_modules/microgpt-webgpu/dist/cli/start.js info --model-dir out`,
    ],
    ["from elsewhere", { cwd: join(root, "web") }, "node ../cli/start.js info --model-dir out"],
    ["a program of one's own", { script: "/p/own.ts" }, "npm run info -- --model-dir out"],
    [
      "npx",
      { url: installed, script: bin, ...npm("exec") },
      "npx microgpt-webgpu info --model-dir out",
    ],
    ["its path", { url: installed, script: bin }, "npx microgpt-webgpu info --model-dir out"],
    [
      "its name",
      { url: installed, script: "/usr/bin/microgpt-webgpu" },
      "microgpt-webgpu info --model-dir out",
    ],
  ])("%s", (_, place, expected) => {
    expect(commandLineAt(at(place), "info", "--model-dir", "out")).toBe(expected);
  });

  test("needs no separator without flags", () => {
    expect(commandLineAt(at(npm("run-script")), "doctor")).toBe("npm run doctor");
  });

  test.each(["my poems", "it's", "$HOME", "a;b", "", "*", "ä b"])(
    "a shell reads %j back as one word",
    (word) => {
      const line = commandLineAt(at({ url: installed }), "info", word);
      const argv = ["-c", `npx() { printf '%s\\n' "$#" "$3"; }; ${line}`];
      expect(spawnSync("sh", argv, { encoding: "utf8" }).stdout).toBe(`3\n${word}\n`);
    },
  );

  test("Windows' shell knows other quotes", () => {
    const place = at({ url: installed, windows: true });
    const line = commandLineAt(place, "info", "C:\\a b", "C:\\out");
    expect(line).toBe('npx microgpt-webgpu info "C:\\a b" C:\\out');
  });
});

test("a Node that runs no TypeScript is told which does", () => {
  const argv = ["--no-strip-types", join(root, "cli/start.js"), "train"];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^Node [\d.]+ does not run TypeScript: take Node 22\.18 or newer, .*\n$/);
});
