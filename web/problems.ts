// What is wrong in the form, summed up beside Start: all of it at once, each a way to its field.

/** Sums up every field that is marked as wrong, in the order of the page, and goes to the first of them. */
export function showProblems(summary: HTMLElement, reveal: (field: HTMLElement) => void): void {
  const fields = wrongFields();
  summary.replaceChildren();
  if (fields.length === 0) return;
  const lead = document.createElement("p");
  lead.textContent =
    fields.length === 1 ? "Before it can start:" : `${fields.length} things, before it can start:`;
  const list = document.createElement("ul");
  list.append(...fields.map((field) => createItem(field)));
  summary.append(lead, list);
  fields.forEach(reveal);
  fields[0].focus();
}

/** Takes away what is mended; says nothing new. */
export function reviseProblems(summary: HTMLElement): void {
  if (!summary.firstChild) return;
  const left = new Set(wrongFields().map(({ id }) => `#${id}`));
  for (const link of summary.querySelectorAll("a"))
    if (!left.has(link.hash)) link.closest("li")!.remove();
  if (!summary.querySelector("li")) summary.replaceChildren();
}

function wrongFields(): HTMLElement[] {
  return [...document.querySelectorAll<HTMLElement>("[aria-invalid=true]")].filter(
    (field) => messageOf(field) !== "",
  );
}

function createItem(field: HTMLElement): HTMLElement {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `#${field.id}`;
  link.textContent = messageOf(field);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    field.focus();
  });
  item.append(link);
  return item;
}

/** Of the errors that describe a field. */
function messageOf(field: HTMLElement): string {
  const ids = field.getAttribute("aria-describedby")?.split(" ") ?? [];
  const errors = ids.filter((id) => id.endsWith("-error"));
  return errors.map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
}
