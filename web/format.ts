// Numbers and times as the page writes them.

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export function formatNumber(value: number): string {
  return grouped.format(value);
}

/** "3 s", "4 min 20 s", "2 h 5 min". */
export function formatSeconds(seconds: number): string {
  const s = Math.ceil(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${formatNumber(Math.floor(s / 3600))} h ${Math.floor((s % 3600) / 60)} min`;
}

/** "1 document", "1,936 documents". */
export function count(value: number, noun: string): string {
  return `${formatNumber(value)} ${noun}${value === 1 ? "" : "s"}`;
}
