// What a server counts, in the text that Prometheus reads.

type Labels = Readonly<Record<string, string | number>>;

/** Something that is counted, of which there may be one for each value of its labels. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  samples(): [name: string, labels: Labels, value: number][];
}

export class Counter implements Metric {
  readonly type = "counter";
  readonly name: string;
  readonly help: string;
  private readonly counts = new Map<string, { labels: Labels; value: number }>();

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  add(labels: Labels = {}, by = 1): void {
    const key = JSON.stringify(labels);
    const count = this.counts.get(key) ?? { labels, value: 0 };
    count.value += by;
    this.counts.set(key, count);
  }

  samples(): [string, Labels, number][] {
    return Array.from(this.counts.values(), ({ labels, value }) => [this.name, labels, value]);
  }
}

/** What is the case now. */
export class Gauge implements Metric {
  readonly type = "gauge";
  readonly name: string;
  readonly help: string;
  private readonly read: () => number;
  private readonly labels: Labels;

  constructor(name: string, help: string, read: () => number, labels: Labels = {}) {
    this.name = name;
    this.help = help;
    this.read = read;
    this.labels = labels;
  }

  samples(): [string, Labels, number][] {
    return [[this.name, this.labels, this.read()]];
  }
}

const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** Seconds, by how many of them were at most so long. */
export class Histogram implements Metric {
  readonly type = "histogram";
  readonly name: string;
  readonly help: string;
  private readonly within = BOUNDS.map(() => 0);
  private sum = 0;
  private count = 0;

  constructor(name: string, help: string) {
    this.name = name;
    this.help = help;
  }

  observe(seconds: number): void {
    for (const [i, bound] of BOUNDS.entries()) if (seconds <= bound) this.within[i]++;
    this.sum += seconds;
    this.count++;
  }

  samples(): [string, Labels, number][] {
    const { name, within, sum, count } = this;
    const bucket = `${name}_bucket`;
    return [
      ...BOUNDS.map((le, i): [string, Labels, number] => [bucket, { le }, within[i]]),
      [bucket, { le: "+Inf" }, count],
      [`${name}_sum`, {}, sum],
      [`${name}_count`, {}, count],
    ];
  }
}

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export function metricsText(metrics: readonly Metric[]): string {
  return metrics
    .flatMap((metric) => [
      `# HELP ${metric.name} ${metric.help}`,
      `# TYPE ${metric.name} ${metric.type}`,
      ...metric.samples().map(([name, labels, value]) => `${name}${inBraces(labels)} ${value}`),
    ])
    .map((line) => `${line}\n`)
    .join("");
}

function inBraces(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(String(value))}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
