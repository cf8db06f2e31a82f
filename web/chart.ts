// The loss curve: every step faintly, their running mean, the validations, and the loss of guessing as a line to
// compare with.

import "./language.ts";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatLoss, formatNumber } from "./format.ts";
import type { LossHistory } from "./history.ts";

export class LossChart {
  private readonly plot: uPlot;
  private readonly parent: HTMLElement;
  private readonly readout: HTMLElement;
  private history: LossHistory | null = null;
  private num_steps = 1;
  /** Null where there is no text. */
  private guess: number | null = 1;
  private validations: (number | null)[] = [];
  private colors = { mean: "", step: "", validation: "", text: "", grid: "", guess: "" };
  private font = "";

  /** @param readout says the values under the pointer */
  constructor(parent: HTMLElement, readout: HTMLElement) {
    this.parent = parent;
    this.readout = readout;
    this.readStyle();
    this.plot = new uPlot(this.options(), [[], [], [], []], parent);
    new ResizeObserver(() => this.plot.setSize(this.size())).observe(parent);
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => {
        this.readStyle();
        this.plot.redraw();
      });
    }
  }

  show(history: LossHistory, num_steps: number, vocab_size: number | null): void {
    this.history = history;
    this.num_steps = num_steps;
    this.guess = vocab_size === null ? null : Math.log(vocab_size);
    this.validations = history.validations();
    this.plot.setData([history.steps, history.losses, history.means, this.validations]);
    const now = Number.isNaN(history.mean) ? "not begun" : `now ${formatLoss(history.mean)}`;
    const validated = Number.isNaN(history.validation)
      ? ""
      : `, validation ${formatLoss(history.validation)}`;
    const guess = this.guess === null ? "" : `; the loss of guessing is ${this.guess.toFixed(2)}`;
    this.parent.setAttribute("aria-label", `Loss by step: ${now}${validated}${guess}.`);
  }

  private options(): uPlot.Options {
    const axis: uPlot.Axis = {
      stroke: () => this.colors.text,
      font: this.font,
      grid: { stroke: () => this.colors.grid, width: 1 },
      ticks: { show: false },
    };
    const series = { points: { show: false } };
    return {
      ...this.size(),
      padding: [12, 24, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { time: false, range: () => [0, this.num_steps] },
        y: { range: () => this.lossesShown() },
      },
      axes: [
        {
          ...axis,
          size: 30,
          grid: { show: false },
          space: 80,
          values: (_, splits) => splits.map((step) => formatNumber(step)),
        },
        {
          ...axis,
          size: (plot, labels) => this.widthOf(plot.ctx, labels ?? []),
          space: 44,
          values: (_, splits) => splits.map((y) => (y < 100 ? y.toFixed(1) : formatLoss(y))),
        },
      ],
      series: [
        {},
        { ...series, stroke: () => this.colors.step, width: 1 },
        { ...series, stroke: () => this.colors.mean, width: 2 },
        {
          stroke: () => this.colors.validation,
          width: 2,
          spanGaps: true,
          points: { show: true, size: 6, fill: () => this.colors.validation },
        },
      ],
      hooks: { drawAxes: [() => this.drawGuess()], setCursor: [() => this.readCursor()] },
    };
  }

  private size() {
    return { width: this.parent.clientWidth, height: this.parent.clientHeight };
  }

  /** Of the widest label, so that none is clipped. */
  private widthOf(ctx: CanvasRenderingContext2D, labels: readonly string[]): number {
    ctx.save();
    ctx.font = this.font;
    const widest = Math.max(0, ...labels.map((label) => ctx.measureText(label).width));
    ctx.restore();
    return Math.max(40, Math.ceil(widest) + 14);
  }

  /** Holds the running mean, the validations and the loss of guessing; single steps may lie outside. */
  private lossesShown(): [number, number] {
    const means = this.history?.means ?? [];
    const { guess } = this;
    let low = guess === null ? Infinity : 0.7 * guess;
    let high = guess ?? -Infinity;
    for (const loss of [...means, ...this.validations]) {
      if (loss === null) continue;
      if (loss < low) low = loss;
      if (loss > high) high = loss;
    }
    if (low > high) [low, high] = [0, 1];
    // In quarters, so that the axis does not tremble.
    return [Math.max(0, Math.floor(4 * low - 1.4) / 4), Math.ceil(4 * high + 0.8) / 4];
  }

  private drawGuess(): void {
    const { guess } = this;
    if (guess === null) return;
    const { ctx, bbox } = this.plot;
    const y = Math.round(this.plot.valToPos(guess, "y", true)) + 0.5;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = this.colors.guess;
    ctx.lineWidth = scale;
    ctx.setLineDash([5 * scale, 4 * scale]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = this.font.replace("12px", `${12 * scale}px`);
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    const label = `guessing: ln ${Math.round(Math.exp(guess))} = ${guess.toFixed(2)}`;
    ctx.fillText(label, bbox.left + bbox.width, y - 4 * scale);
    ctx.restore();
  }

  private readCursor(): void {
    const { idx } = this.plot.cursor;
    const { steps, losses, means } = this.history ?? { steps: [], losses: [], means: [] };
    const validation = idx == null ? null : (this.validations[idx] ?? null);
    const validated = validation === null ? "" : `, validation ${formatLoss(validation)}`;
    this.readout.textContent =
      idx == null || steps[idx] === undefined
        ? ""
        : `step ${formatNumber(steps[idx])}: ${formatLoss(losses[idx])}, mean ${formatLoss(means[idx])}${validated}`;
  }

  private readStyle(): void {
    const style = getComputedStyle(this.parent);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    this.colors = {
      mean: color("accent"),
      step: color("accent-faint"),
      validation: color("validation"),
      text: color("muted"),
      grid: color("line"),
      guess: color("guess"),
    };
    this.font = `12px ${style.fontFamily}`;
  }
}
