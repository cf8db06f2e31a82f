// The output folder of a run: nobody else's meanwhile, its own from before the first step, and saved to whatever comes.

import { existsSync, mkdtempSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ModelFileError } from "../src/errors.ts";
import { type Checkpoint, encodeCheckpoint, STATE_FILE } from "../src/files/checkpoint.ts";
import { BASE_FILE, encodeBase } from "../src/files/adapter_files.ts";
import type { Model } from "../src/files/model_files.ts";
import { makeFolder } from "../src/platform/platform.node.ts";
import { examine, logsIn, moveAside, ownFilesIn, refuseUnfinished } from "./earlier.ts";
import { FolderLock } from "./lock.ts";
import {
  attempt,
  isTemporary,
  refusal,
  saveBest,
  saveCheckpoint,
  savingModel,
} from "../src/files/model_dir.node.ts";
import { flushFolder, replaceFile } from "../src/files/replace_file.node.ts";
import { finish } from "../src/finish.ts";

/** What becomes of what is in the folder: it is gone on with, replaced, or kept aside if it is finished. */
export type Earlier = "resume" | "replace" | "keep";

export class RunFolder {
  readonly path: string;
  private earlier: Earlier;
  private readonly lock: FolderLock;
  /** Whether it was not there before. */
  private readonly made: boolean;

  private constructor(path: string, earlier: Earlier, lock: FolderLock, made: boolean) {
    this.path = path;
    this.earlier = earlier;
    this.lock = lock;
    this.made = made;
  }

  /**
   * Makes the folder and writes into it once: a run of hours must not find out at its end that it cannot save.
   * Removes what killed processes left behind.
   * @throws ModelFileError if no model can be saved there, if another run is at work there, if it holds files of
   *   another program, or a run that is not finished and should be kept
   */
  static async open(path: string, earlier: Earlier): Promise<RunFolder> {
    const made = !existsSync(path);
    attempt(path, () => makeFolder(path));
    const lock = await FolderLock.take(path).catch((error: unknown) => {
      if (made) removeEmpty(path);
      throw refusal(path, error);
    });
    try {
      if (earlier === "keep") refuseUnfinished(path);
      else examine(path);
      attempt(path, () => {
        for (const name of readdirSync(path)) {
          if (isTemporary(name)) rmSync(join(path, name), { force: true });
        }
      });
    } catch (error) {
      lock.release();
      throw error;
    }
    return new RunFolder(path, earlier, lock, made);
  }

  /**
   * Makes the folder a new run's own: from here on the run can be resumed there, and is known to be one that can be saved.
   * @returns where what was there is now; null if nothing was, or it is replaced
   * @throws ModelFileError if that is refused; then all is as it was
   */
  begin(checkpoint: Checkpoint): string | null {
    if (this.earlier === "resume") return null;
    const { name, pieces } = encodeCheckpoint(checkpoint);
    let aside: string | null = null;
    const { frozen } = checkpoint;
    attempt(this.path, () => {
      const makeWay = () => (aside ??= this.makeWay());
      if (frozen) replaceFile(this.path, BASE_FILE, encodeBase(frozen).pieces, makeWay);
      replaceFile(this.path, name, pieces, makeWay);
      const fresh = frozen ? [BASE_FILE, STATE_FILE] : [STATE_FILE];
      for (const other of ownFilesIn(this.path)) {
        if (!fresh.includes(other)) rmSync(join(this.path, other), { force: true });
      }
      flushFolder(this.path);
    });
    return aside;
  }

  private makeWay(): string | null {
    const aside = this.earlier === "keep" ? moveAside(this.path) : null;
    this.earlier = "resume";
    return aside;
  }

  /**
   * Saves a run, in a folder that is made again where somebody removed it.
   * @throws ModelFileError as saveCheckpoint()
   */
  save(checkpoint: Checkpoint): void {
    attempt(this.path, () => {
      makeFolder(this.path);
      this.lock.renew();
    });
    saveCheckpoint(this.path, checkpoint);
  }

  /**
   * Saves a model as the best of the run so far, as save() does.
   * @throws ModelFileError as saveBest()
   */
  saveBest(model: Model): void {
    attempt(this.path, () => {
      makeFolder(this.path);
      this.lock.renew();
    });
    saveBest(this.path, model);
  }

  /**
   * Saves a model that has no run.
   * @returns where what was there is now; null if nothing was, or it is replaced
   * @throws ModelFileError as saveModel()
   */
  saveModel(model: Model): string | null {
    return finish(this.savingModel(model));
  }

  /** As saveModel(), a part at a time; where it is left undone, all is as it was. */
  *savingModel(model: Model): Generator<void, string | null> {
    attempt(this.path, () => {
      makeFolder(this.path);
      this.lock.renew();
    });
    let aside: string | null = null;
    yield* savingModel(this.path, model, () => {
      aside = this.makeWay();
      for (const name of logsIn(this.path)) rmSync(join(this.path, name), { force: true }); // of a run that was here
    });
    return aside;
  }

  /** Leaves the folder to others; one that was made for nothing goes. */
  close(): void {
    this.lock.release();
    if (this.made) removeEmpty(this.path);
  }
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // It is not empty.
  }
}

/**
 * The last save of a run: where its folder refuses it, it is made in a new one among the system's temporary folders.
 * @param save saves into the folder that it is given, or where it is given none, where it should
 * @throws ModelFileError that tells where it was saved, if not where it should
 */
export function saveAtLast(save: (elsewhere?: string) => void): void {
  try {
    save();
  } catch (error) {
    const refused = error as Error;
    let refuge = "";
    try {
      refuge = mkdtempSync(join(tmpdir(), "microgpt-"));
      save(refuge);
    } catch {
      rmSync(refuge, { recursive: true, force: true });
      throw refused;
    }
    throw new ModelFileError(`${refused.message} It is saved in ${refuge} instead.`);
  }
}
