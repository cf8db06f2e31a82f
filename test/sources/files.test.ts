// What is named on this machine: files, folders, patterns and archives, and what is left out of them.

import { mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { gather, urlsIn } from "../../cli/sources/gather.ts";
import { zipPart } from "../../cli/sources/zip.ts";
import { main as train } from "../../cli/train.ts";
import { readFiles } from "../../src/text/read_corpus.ts";
import { FakeIo, parseLines, runCli, temporaryFolder } from "../cli/fake_io.ts";
import { makeZip } from "./make_zip.ts";

const options = { cache: true, allowPrivate: false };

/** A folder with these files. */
function folderOf(files: Record<string, string | Uint8Array>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

/** What the words come to: the text, whatever its format, and what is said about it. */
async function read(...words: string[]) {
  const { files, label, skipped, names } = await gather(words, new FakeIo(), options);
  const corpus = await readFiles(files, "text", { source: label });
  return { text: corpus.document(0), label, skipped, names };
}

const binary = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 1, 2);

describe("a folder", () => {
  test("is its texts in the order of their paths, without what is hidden, ignored or no text", async () => {
    const folder = folderOf({
      "b.txt": "b\n",
      "a/z.txt": "z\n",
      "a/B.txt": "B\n",
      "B/x.txt": "x\n",
      "picture.png": binary,
      "latin.txt": Uint8Array.of(0x63, 0xe9, 0x0a),
      "empty.txt": "",
      "node_modules/m/index.js": "m\n",
      ".git/config": "g\n",
      ".hidden": "h\n",
      "old/model.safetensors": "w",
      "old/config.json": "{}\n",
    });
    symlinkSync(join(folder, "b.txt"), join(folder, "link.txt"));
    const { text, label, skipped, names } = await read(folder);
    expect(text).toBe("x\nB\nz\nb\n");
    expect(label).toBe(`${folder} (4 files)`);
    expect(names).toEqual(
      ["B/x.txt", "a/B.txt", "a/z.txt", "b.txt"].map((name) => join(folder, name)),
    );
    expect(skipped.toSorted()).toEqual([
      "1 empty file",
      "1 folder of a model",
      "1 ignored file",
      "1 link",
      "2 binary files",
    ]);
  });

  test("heeds each .gitignore for what is below it, the innermost last", async () => {
    const folder = folderOf({
      ".gitignore": "*.log\n/top.txt\nbuild/\n",
      "top.txt": "no",
      "a.log": "no",
      "build/x.txt": "no",
      "in/top.txt": "yes\n",
      "in/b.log": "yes too\n",
      "in/.gitignore": "!b.log\n/c.txt\n",
      "in/c.txt": "no",
      "in/deep/c.txt": "yes, deep\n",
    });
    const { text, skipped } = await read(folder);
    expect(text).toBe("yes too\nyes, deep\nyes\n");
    // The .gitignore files themselves are hidden.
    expect(skipped).toEqual(["5 ignored files", "1 ignored folder"]);
  });

  test("without a text is refused, and what is there is said", async () => {
    const folder = folderOf({ "a.png": binary, "b.png": binary });
    await expect(read(folder)).rejects.toThrow(
      `${folder} holds no text to train on: it has 2 binary files. Name a folder`,
    );
    await expect(read(temporaryFolder())).rejects.toThrow("to train on: it is empty.");
  });

  test("of records is read as such, and a run on it can go on", async () => {
    const folder = folderOf({ "a.jsonl": `{"text":"anna"}\n`, "b.jsonl": `{"text":"otto"}\n` });
    const argv = ["--device", "cpu", "--output", temporaryFolder(), "--num-samples", "0"];
    const more = folderOf({ "c.jsonl": `{"text":"carl"}\n` });
    const inputs = ["--input", folder, "--input", join(more, "*.jsonl")];
    const { stdout, stderr } = await runCli(train, [...argv, ...inputs, "--steps", "1"]);
    expect(stderr).toBe("");
    expect(stdout).toContain(`data    ${folder} (2 files) and 1 other: 3 documents, none longer`);
    expect(stdout).toContain(`\nfirst   "anna", "otto", "carl"\n`);
    const again = await runCli(train, [...argv, "--resume", "--steps", "2", "--json"]);
    expect(again.stderr).toBe("");
    expect(parseLines(again.stdout)[0]).toMatchObject({ num_docs: 3, resumed_from: 1 });
    const turned = ["--input", join(more, "*.jsonl"), "--input", folder];
    const other = await runCli(train, [...argv, "--resume", "--steps", "3", ...turned]);
    expect(other.stderr).toContain(
      `trained on, which was ${folder}, ${join(more, "*.jsonl")}: its tok`,
    );
  });
});

describe("a word", () => {
  test("may be a pattern", async () => {
    const folder = folderOf({
      "a.txt": "a\n",
      "in/b.txt": "b\n",
      "in/c.md": "c\n",
      "d.txt": binary,
    });
    const { text, skipped } = await read(join(folder, "**/*.txt"));
    expect([text, skipped]).toEqual(["a\nb\n", ["1 binary file"]]);
    await expect(read(join(folder, "*.csv"))).rejects.toThrow("No file matches the pattern");
  });

  test("may be a data set that comes along, unless a file is called so", async () => {
    expect((await read("names")).text).toMatch(/^aaliyah\naaron\n/);
    const io = new FakeIo();
    await expect(gather(["tinyshakspeare"], io, options)).rejects.toThrow(
      "Data sets are names, makemore-names, tinyshakespeare, tinystories. Did you mean the data set tinyshakespeare?",
    );
  });

  test("may be standard input, once", async () => {
    const io = new FakeIo();
    await expect(gather(["-", "names", "-"], io, options)).rejects.toThrow("can be read only once");
  });

  test("is told what it may be, where it is none of it", async () => {
    await expect(read("/none/at/all")).rejects.toThrow(
      /^The training text \/none\/at\/all cannot be read: there is no such file or folder \(ENOENT\)\. --input takes a text/,
    );
    await expect(read("ftp://example.org/x")).rejects.toThrow("only http and https are known");
    await expect(read("https://me:secret@example.org/")).rejects.toThrow(
      "has a name or a password in it",
    );
    await expect(read("https://")).rejects.toThrow("is no URL that can be fetched");
  });

  test("of a list of URLs is told by its line", () => {
    const list = join(
      folderOf({ list: "# mine\n\nhttps://example.org/a b\n HTTP://x.org \n" }),
      "list",
    );
    expect(urlsIn(list)).toEqual(["https://example.org/a%20b", "http://x.org/"]);
    const bad = join(folderOf({ list: "https://a.org\nfile:///etc/passwd\n" }), "list");
    expect(() => urlsIn(bad)).toThrow(`Line 2 of ${bad} is "file:///etc/passwd" and no URL`);
    expect(() => urlsIn(join(folderOf({ list: "#\n" }), "list"))).toThrow("lists no URL");
    const bytes = join(folderOf({ list: Uint8Array.of(0xff, 0x00, 0xc1) }), "list");
    expect(() => urlsIn(bytes)).toThrow(`${bytes} cannot be read: it is no UTF-8 text. It has a`);
    expect(() => urlsIn("/none")).toThrow("cannot be read: there is no such file");
  });
});

describe("a .zip", () => {
  const zipIn = (...entries: Parameters<typeof makeZip>[0]) =>
    join(folderOf({ "a.zip": makeZip(entries) }), "a.zip");

  test("is its texts in the order of their paths", async () => {
    const path = zipIn(
      { name: "b/two.txt", content: "two\n" },
      { name: "b/", content: "" },
      { name: "a.txt", content: "é".repeat(100_000) },
      { name: ".hidden", content: "h" },
      { name: "p.png", content: binary },
      { name: "secret.txt", content: "s", flags: 1 },
    );
    const { text, label, skipped, names } = await read(path);
    expect(text).toBe(`${"é".repeat(100_000)}\ntwo\n`);
    expect(label).toBe(`${path} (2 files)`);
    expect(names).toEqual(["a.txt", "b/two.txt"]);
    expect(skipped.toSorted()).toEqual(["1 binary file", "1 encrypted file", "1 ignored file"]);
  });

  test("is closed once it was read, or is refused", async () => {
    const open = () =>
      readdirSync("/proc/self/fd").flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/self/fd/${fd}`)];
        } catch {
          return []; // the folder's own
        }
      });
    const path = zipIn({ name: "a.txt", content: "a\n" }, { name: "b.txt", content: "b\n" });
    const damaged = zipIn({ name: "a.txt", content: "a\n", crc: 7 });
    const binaries = zipIn({ name: "p.png", content: binary });
    await read(path);
    await expect(read(damaged)).rejects.toThrow("its checksum");
    await expect(read(binaries)).rejects.toThrow("1 binary file");
    const large = { entries: 1, bytes: 1, ratio: 1, harmless: 1 };
    await expect(zipPart(path, path, large)).rejects.toThrow("looks like a trap");
    if (process.platform !== "linux") return;
    for (const file of [path, damaged, binaries]) {
      await vi.waitFor(() => expect(open()).not.toContain(file));
    }
  });

  test("cannot tell a terminal what to do by its names", async () => {
    const name = "\x1b[2J\u009b.txt";
    for (const entry of [
      { name, content: "{\n" },
      { name, content: "a", crc: 7 },
    ]) {
      const path = zipIn(entry);
      const { stderr, code } = await runCli(train, ["--input", path, "--format", "jsonl"]);
      expect(code).toBe(1);
      expect(stderr).toContain("\\x1b[2J\\x9b.txt in ");
      for (const raw of ["\x1b", "\u009b"]) expect(stderr).not.toContain(raw);
    }
  });

  test("that would fill the machine is refused before it is unpacked", async () => {
    const zeros = zipIn({ name: "a.txt", content: "0".repeat(2 ** 20) });
    const limits = { entries: 2, bytes: 2 ** 36, ratio: 200, harmless: 2 ** 16 };
    await expect(zipPart(zeros, zeros, limits)).rejects.toThrow(
      /would unpack from 1\.\d+ KiB to 1 MiB, which looks like a trap/,
    );
    const many = zipIn(...["a", "b", "c"].map((name) => ({ name, content: name })));
    await expect(zipPart(many, many, limits)).rejects.toThrow("has more than 2 files");
    // The size that is promised is no way around.
    const liar = zipIn({ name: "a.txt", content: "0".repeat(2 ** 20), size: 100 });
    await expect(read(liar)).rejects.toThrow("a.txt in");
  });

  test("that is damaged, or none, is refused", async () => {
    await expect(read(zipIn({ name: "a.txt", content: "a\n", crc: 7 }))).rejects.toThrow(
      "is damaged or no ZIP archive: its checksum is another one",
    );
    const none = join(folderOf({ "n.zip": "no archive" }), "n.zip");
    await expect(read(none)).rejects.toThrow(
      /n\.zip is damaged or no ZIP archive: .+[^.]\. Make or fetch/,
    );
    for (const name of ["../up.txt", "/up.txt"]) {
      await expect(read(zipIn({ name, content: "a" }))).rejects.toThrow(
        `has the entry "${name}", which leads out of the archive`,
      );
    }
    await expect(read(zipIn({ name: "p.png", content: binary }))).rejects.toThrow(
      "it has 1 binary file",
    );
  });
});
