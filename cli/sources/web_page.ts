// A web page as the text that people read on it, without menus, scripts and advertisements.

import { plural } from "../../src/count.ts";
import { DataError } from "../../src/errors.ts";

/** What begins a paragraph, and what only begins a line. */
const blocks =
  /^(P|DIV|SECTION|ARTICLE|HEADER|FOOTER|MAIN|ASIDE|H[1-6]|UL|OL|DL|TABLE|PRE|BLOCKQUOTE|FIGURE|HR)$/;
const lines = /^(LI|TR|DT|DD|BR)$/;
const silent = /^(SCRIPT|STYLE|NOSCRIPT|HEAD|TEMPLATE|IFRAME|SVG)$/;

/** Elements in one another at most, as browsers have it: what looks for the article goes up from each of them. */
const MOST_DEPTH = 512;

/**
 * The title and the text below it, paragraphs between blank lines.
 * @throws DataError if there is nothing to read on it, or it is none that can be taken apart
 */
export async function readPage(
  html: string,
  url: string,
): Promise<{ title: string; text: string }> {
  const [{ Readability }, { parseHTML }] = await Promise.all([
    import("@mozilla/readability"),
    import("linkedom"),
  ]);
  let title: string;
  let body: string;
  try {
    const parse = () => parseHTML(html).document;
    const page = parse();
    checkDepth(page as unknown as Node, url);
    const article = new Readability(page).parse();
    const content = article?.content ? parseHTML(article.content).document : parse();
    title = (article?.title ?? "").trim();
    body = textOf(content as unknown as Node);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `${url} is a page that cannot be taken apart: ${(error as Error).message}. Save what it says as a text file.`,
    );
  }
  if (body === "") {
    throw new DataError(
      `${url} is a page without text: it may be made by scripts in the browser. Save what it says as a text file.`,
    );
  }
  return { title, text: title === "" ? `${body}\n` : `${title}\n\n${body}\n` };
}

/** @throws DataError if it would take for ever to look for the article */
function checkDepth(root: Node, url: string): void {
  const open = [{ node: root, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, depth } = next;
    if (depth > MOST_DEPTH) {
      throw new DataError(
        `${url} is a page with more than ${plural(MOST_DEPTH, "element")} in one another, which none for people has. Save ` +
          `what it says as a text file.`,
      );
    }
    for (const child of node.childNodes) open.push({ node: child, depth: depth + 1 });
  }
}

/** A node that is still to be read, or what stands behind one. */
type Open = { node: Node; preformatted: boolean } | string;

function textOf(root: Node): string {
  const parts: string[] = [];
  let atLineStart = true;
  const add = (part: string) => {
    if (part === "") return;
    parts.push(part);
    atLineStart = part.endsWith("\n");
  };
  const open: Open[] = [{ node: root, preformatted: false }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next === "string") {
      add(next);
      continue;
    }
    const { node, preformatted } = next;
    if (node.nodeType === 3) {
      const own = node.textContent ?? "";
      const line = own.replaceAll(/\s+/g, " ");
      add(preformatted ? own : atLineStart ? line.trimStart() : line);
      continue;
    }
    const name = node.nodeName.toUpperCase();
    if (silent.test(name)) continue;
    const mark = blocks.test(name) ? "\n\n" : lines.test(name) ? "\n" : "";
    add(mark);
    if (name === "TD" || name === "TH") open.push("\t");
    if (mark === "\n\n") open.push(mark);
    const children = [...node.childNodes].map((child) => ({
      node: child,
      preformatted: preformatted || name === "PRE",
    }));
    for (const child of children.toReversed()) open.push(child);
  }
  return parts
    .join("")
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
}
