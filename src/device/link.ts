// Kernels share pieces: functions, constants and structs, in files of their own. A kernel names those that it needs in
// its header, `// with: reductions, step`, and a piece may name others. WGSL does not mind the order of declarations, so
// one text after the other is all the linking there is.

/** Texts by the file's path in shaders/, without `.wgsl`; pieces are those in the folder `pieces`. */
export type Sources = Readonly<Record<string, string>>;

const FOLDER = "pieces/";

/** The kernels among the files. */
export function kernelNames(sources: Sources): string[] {
  return Object.keys(sources)
    .filter((name) => !name.startsWith(FOLDER))
    .sort();
}

/**
 * The files that a kernel is made of: its own, then each of its pieces once.
 * @throws RangeError if one of them is not there
 */
export function filesOf(sources: Sources, kernel: string): string[] {
  if (!Object.hasOwn(sources, kernel)) throw new RangeError(`there is no kernel ${kernel}.wgsl`);
  const files = [kernel];
  for (const file of files) {
    for (const [, names] of sources[file].matchAll(/^\/\/ with: (.*)$/gm)) {
      for (const name of names.split(/,\s*/)) {
        const piece = FOLDER + name;
        if (!Object.hasOwn(sources, piece)) {
          throw new RangeError(`${file}.wgsl names ${name}, but there is no ${piece}.wgsl`);
        }
        if (!files.includes(piece)) files.push(piece); // and so its own pieces are looked for, too
      }
    }
  }
  return files;
}

/**
 * A kernel's whole text. Its own comes first: directives must, and lines keep their numbers.
 * @throws RangeError if it is not there, or one of its pieces
 */
export function link(sources: Sources, kernel: string): string {
  return filesOf(sources, kernel)
    .map((file) => sources[file])
    .join("\n");
}
