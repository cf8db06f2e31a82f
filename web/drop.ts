// Files that are dropped: anywhere on the page, as a miss would make the browser leave it for the file.

/** @param takes whether files can be taken now @param take called with each file that is dropped then */
export function listenForDrops(takes: () => boolean, take: (file: File) => void): void {
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  const mark = (on: boolean) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer!.dropEffect = takes() ? "copy" : "none";
    mark(takes());
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) mark(false);
  });
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    const [file] = event.dataTransfer!.files;
    if (file && takes()) take(file);
  });
}
