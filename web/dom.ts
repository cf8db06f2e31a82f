// Parts of index.html, by their ids.

export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Writes only what changed: selections survive and screen readers stay calm. */
export function write(id: string, text: string): void {
  const node = byId(id);
  if (node.textContent !== text) node.textContent = text;
}
