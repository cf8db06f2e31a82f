// A model as the files of its folder, as bytes: config.json, tokenizer.json, model.safetensors.
export {};
