// What the page of web/writer and what exports a model into it have to agree on.

/** Where the model goes in the built page. */
export const MODEL_MARK = "<!--model-->";

/** Classes of the blocks that it becomes. */
export const BLOCKS = { about: "about-model", weights: "weights" } as const;
