// Keeps a run: its logs as they come, and its state whenever a save is due. A disk that refuses one ends nothing but
// the last.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { GpuError } from "../src/errors.ts";
import type { Checkpoint } from "../src/files/checkpoint.ts";
import { BEST_FILE, type Model } from "../src/files/model_files.ts";
import type { EvalEvent, StepEvent, Training } from "../src/training/train.ts";
import { commandLine } from "../src/platform/invocation.ts";
import { pathWord } from "./format.ts";
import { Metrics } from "./metrics.ts";
import { refusal, saveCheckpoint } from "../src/files/model_dir.node.ts";
import { count } from "../src/count.ts";
import { eventFilesIn, TensorBoard } from "./tensorboard.ts";
import type { Output } from "./run.ts";
import { type RunFolder, saveAtLast } from "./run_folder.ts";

export class Keeper {
  private readonly training: Training;
  private readonly folder: RunFolder;
  private readonly stderr: Output;
  private readonly before: Checkpoint | undefined;
  private readonly tensorboard: boolean;
  /** What is written down of every step and validation. */
  private logs: (Metrics | TensorBoard)[] = [];
  /** The last step whose state is in the folder. */
  private saved: number;
  /** Whether there is more of the run than that. */
  private changed = false;
  /** The best model, while the disk refuses it. */
  private best: Model | undefined;
  /** The step of the one that is in the folder. */
  private bestSaved = 0;
  /** Whether something was saved after the beginning. */
  hasSaved = false;

  /**
   * @param before the run that goes on; undefined for a new one
   * @param tensorboard whether event files are asked for; where a run goes on that has some, they are written all the same
   */
  constructor(
    training: Training,
    folder: RunFolder,
    stderr: Output,
    before: Checkpoint | undefined,
    tensorboard = false,
  ) {
    this.tensorboard = tensorboard;
    this.training = training;
    this.folder = folder;
    this.stderr = stderr;
    this.before = before;
    this.saved = before?.step ?? 0;
    if (before?.best && existsSync(join(folder.path, BEST_FILE))) {
      this.bestSaved = before.best.step;
    }
  }

  /**
   * Before the first step: a new run takes its folder, and is saved for the first time.
   * @throws ModelFileError if it cannot be
   * @throws the signal's reason where that is aborted first: then all is as it was
   */
  async begin(signal: AbortSignal): Promise<void> {
    const { folder, before } = this;
    signal.throwIfAborted();
    if (!before) {
      const aside = folder.begin(await this.training.checkpoint(signal));
      if (aside !== null) this.say(`The model that was in ${folder.path} is now in ${aside}.`);
    } else if (before.best?.step === before.step && this.bestSaved === 0) {
      await this.holdBest(); // validated at its end alone, it has none beside its last model
      this.saveBest();
    }
    const warn = (text: string) =>
      this.say(`warning: ${text} The run goes on, and tries it again.`);
    this.logs = [new Metrics(folder.path, before, warn)];
    if (this.tensorboard || (before && eventFilesIn(folder.path).length > 0)) {
      this.logs.push(new TensorBoard(folder.path, before, warn));
    }
  }

  add(event: StepEvent | EvalEvent): void {
    for (const log of this.logs) log.add(event);
    this.changed = true;
  }

  /** After a validation: the model that it found to be the best so far is kept, before the run that knows of it. */
  async keepBest({ best }: EvalEvent): Promise<void> {
    if (!best) return;
    await this.holdBest();
    this.saveBest();
  }

  private async holdBest(): Promise<void> {
    if (this.training.start.config.eval_every === 0) return; // the last model is the only one
    this.best = await this.training.model();
  }

  private saveBest(): void {
    if (this.best === undefined) return;
    try {
      this.folder.saveBest(this.best);
      this.bestSaved = this.best.step;
      this.best = undefined;
    } catch (error) {
      const { message } = refusal(this.folder.path, error);
      this.say(
        `warning: Saving the best model failed. ${message} It is tried again at the next save.`,
      );
    }
  }

  /** Saves between two steps. @returns whether that could be done; if not, it is told */
  async save(): Promise<boolean> {
    this.write();
    this.saveBest();
    const { step } = this.training;
    try {
      this.folder.save(await this.training.checkpoint());
    } catch (error) {
      if (error instanceof GpuError) throw error;
      const { message } = refusal(this.folder.path, error);
      this.say(
        `warning: Saving step ${count(step)} failed. ${message} The run goes on, and tries it again.`,
      );
      return false;
    }
    this.done(step);
    return true;
  }

  private done(step: number): void {
    this.saved = step;
    this.changed = false;
    this.hasSaved = true;
  }

  /**
   * The last save.
   * @throws ModelFileError if its folder refuses it; where there is room elsewhere, it is saved there
   */
  async finish(): Promise<void> {
    this.write();
    this.saveBest();
    if (!this.changed) return;
    try {
      const checkpoint = await this.training.checkpoint();
      saveAtLast((elsewhere) => {
        if (elsewhere === undefined) this.folder.save(checkpoint);
        else saveCheckpoint(elsewhere, checkpoint);
      });
      this.done(checkpoint.step);
      this.write(); // once more, where the folder had been removed
    } catch (error) {
      throw error instanceof RangeError ? refusal(this.folder.path, error) : error;
    }
  }

  /** After an error: what is there of the run. */
  fail(): void {
    this.write();
    if (this.saved > 0) this.say(`Step ${count(this.saved)} of the run is in ${this.folder.path}.`);
    if (this.bestSaved === 0) return;
    const words = ["--model-dir", pathWord(this.folder.path), "--best"];
    this.say(
      `Its best model is of step ${count(this.bestSaved)}: ${commandLine("generate", ...words)}`,
    );
  }

  private write(): void {
    for (const log of this.logs) log.write();
  }

  private say(text: string): void {
    this.stderr.write(`${this.stderr.isTTY ? "\n" : ""}${text}\n`);
  }
}
