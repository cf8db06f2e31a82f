// What a browser's bundle carries along as text. By Vite alone: in the npm package, which any bundler may take, a
// module that holds the texts themselves stands in this one's place (cli/package/build.ts).

export { version } from "../../package.json";

const files = import.meta.glob<string>("../../shaders/**/*.wgsl", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** By the file's path in shaders/ without `.wgsl`. */
export const shaders: Record<string, string> = Object.fromEntries(
  Object.entries(files).map(([path, text]) => [path.replace(/^.*\/shaders\/|\.wgsl$/g, ""), text]),
);
