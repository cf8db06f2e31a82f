// A web page as the text that people read on it, without menus, scripts and advertisements.

import { DataError } from "../../src/errors.ts";

/** What begins a paragraph, and what only begins a line. */
const blocks =
  /^(P|DIV|SECTION|ARTICLE|HEADER|FOOTER|MAIN|ASIDE|H[1-6]|UL|OL|DL|TABLE|PRE|BLOCKQUOTE|FIGURE|HR)$/;
const lines = /^(LI|TR|DT|DD|BR)$/;
const silent = /^(SCRIPT|STYLE|NOSCRIPT|HEAD|TEMPLATE|IFRAME|SVG)$/;

/**
 * The title and the text below it, paragraphs between blank lines.
 * @throws DataError if there is nothing to read on it
 */
export async function readPage(
  html: string,
  url: string,
): Promise<{ title: string; text: string }> {
  const [{ Readability }, { parseHTML }] = await Promise.all([
    import("@mozilla/readability"),
    import("linkedom"),
  ]);
  const parse = () => parseHTML(html).document;
  const article = new Readability(parse()).parse();
  const content = article?.content ? parseHTML(article.content).document : parse();
  const title = (article?.title ?? "").trim();
  const body = textOf(content as unknown as Node);
  if (body === "") {
    throw new DataError(
      `${url} is a page without text: it may be made by scripts in the browser. Save what it says as a text file.`,
    );
  }
  return { title, text: title === "" ? `${body}\n` : `${title}\n\n${body}\n` };
}

function textOf(root: Node): string {
  let text = "";
  const visit = (node: Node, preformatted: boolean) => {
    if (node.nodeType === 3) {
      const own = node.textContent ?? "";
      const line = own.replaceAll(/\s+/g, " ");
      text += preformatted ? own : /(^|\n)$/.test(text) ? line.trimStart() : line;
      return;
    }
    const name = node.nodeName.toUpperCase();
    if (silent.test(name)) return;
    const mark = blocks.test(name) ? "\n\n" : lines.test(name) ? "\n" : "";
    text += mark;
    for (const child of node.childNodes) visit(child, preformatted || name === "PRE");
    if (mark === "\n\n") text += mark;
    if (name === "TD" || name === "TH") text += "\t";
  };
  visit(root, false);
  return text
    .replaceAll(/[ \t]+$/gm, "")
    .replaceAll(/\n{3,}/g, "\n\n")
    .trim();
}
