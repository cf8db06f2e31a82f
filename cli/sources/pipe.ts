// What has no size: bytes from pipes and terminals as they come, with how far it is. What may never end is refused.

import { closeSync, constants, openSync, type Stats } from "node:fs";
import { isatty } from "node:tty";
import { DataError } from "../../src/errors.ts";
import type { Output } from "../run.ts";
import { DownloadLine } from "./download_line.ts";
import { cannotRead, piecesOf } from "./local_file.ts";
import type { Part } from "./part.ts";

/** Time between two looks at how far it is, in ms. */
const LOOK_MS = 500;

/** @throws DataError if it is a device that is no terminal */
export function pipePart(path: string, there: Stats, out: Output): Part {
  const terminal = there.isCharacterDevice() && isTerminal(path);
  if (!terminal && (there.isCharacterDevice() || there.isBlockDevice())) {
    throw new DataError(
      `${path} is a device, and of devices only a terminal is read: there may be no end to what comes from others. ` +
        `Copy into a file what of it is to be the text, and give that.`,
    );
  }
  const pieces = piecesOf(path);
  const giveUp = () => {
    if (there.isFIFO()) release(path);
  };
  const shown = terminal ? pieces : watched(pieces, path, out, giveUp);
  const file = { source: path, path, pieces: shown };
  return { files: [file], label: path, skipped: [] };
}

function isTerminal(path: string): boolean {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      return isatty(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw cannotRead(path, error);
  }
}

/**
 * The same pieces; how much has come is shown, even where nothing does.
 * @param giveUp called where nobody waits for them any more
 */
export function watched(
  pieces: AsyncIterable<Uint8Array>,
  label: string,
  out: Output,
  giveUp: () => void = () => {},
) {
  const line = new DownloadLine(out, label, "reading");
  let look: NodeJS.Timeout | undefined;
  const end = () => {
    clearInterval(look);
    line.end();
  };
  async function* read(): AsyncGenerator<Uint8Array> {
    let got = 0;
    look = setInterval(() => line.show(got, null), LOOK_MS);
    try {
      for await (const piece of pieces) {
        got += piece.length;
        line.show(got, null);
        yield piece;
      }
    } finally {
      end();
    }
  }
  const destroy = () => {
    end();
    giveUp();
  };
  return { [Symbol.asyncIterator]: read, destroy };
}

/** A pipe that waits for whoever writes into it keeps the process: one that writes nothing lets it go. */
function release(path: string): void {
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
  } catch {}
}
