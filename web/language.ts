// Mends the browser's language before uPlot loads: uPlot hands it to Intl, which throws on the
// "en-US@posix" of a headless Chromium in the POSIX locale, and the page would stay dead.

try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en" });
}
