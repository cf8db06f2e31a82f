// Numbers and times as the page writes them.

/** With commas between the thousands. */
export function formatNumber(value: number, digits = 0): string {
  return value.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** A loss with its digits that matter: "2.38", "13,500", "5.9e+90". */
export function formatLoss(loss: number): string {
  if (loss < 1000) return loss.toFixed(2);
  return loss < 1e6 ? formatNumber(loss) : loss.toExponential(1);
}

/** "3 s", "4 min 20 s", "2 h 5 min". */
export function formatSeconds(seconds: number): string {
  const s = Math.ceil(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${formatNumber(Math.floor(s / 3600))} h ${Math.floor((s % 3600) / 60)} min`;
}
