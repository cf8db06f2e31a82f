"""Logits, ids and greedy continuations of exported folders by transformers.

Reads JSON lines {folder, ids, text, messages, new_tokens} and answers each with one. Where transformers is missing, a
stand-in for its base classes runs the code that a folder brings; what brings none is answered with null.
"""

import importlib
import json
import os
import struct
import sys
import types

import torch
from torch import nn

try:
    import transformers

    VERSION = f"transformers {transformers.__version__}"
except ImportError:
    transformers = None
    VERSION = "a stand-in for transformers"


def stand_in():
    class PretrainedConfig:
        def __init__(self, **rest):
            self.__dict__.update(rest)

    class PreTrainedModel(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.config = config

        def post_init(self):
            pass

    class CausalLMOutput:
        def __init__(self, loss, logits):
            self.loss, self.logits = loss, logits

    package = types.ModuleType("transformers")
    package.PretrainedConfig, package.PreTrainedModel = PretrainedConfig, PreTrainedModel
    package.GenerationMixin = type("GenerationMixin", (), {})
    outputs = types.ModuleType("transformers.modeling_outputs")
    outputs.CausalLMOutput = CausalLMOutput
    sys.modules.update({"transformers": package, "transformers.modeling_outputs": outputs})


def tensors_in(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    tensors = {}
    for name, info in header.items():
        begin, end = (8 + length + offset for offset in info["data_offsets"])
        floats = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32)
        tensors[name] = floats.reshape(info["shape"]).clone()
    return tensors


def load(folder):
    if transformers:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
        return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)
    config = json.load(open(f"{folder}/config.json"))
    if "auto_map" not in config:
        return None, None
    sys.path.insert(0, os.path.dirname(folder))
    name = os.path.basename(folder)
    settings = importlib.import_module(f"{name}.configuration_microgpt").MicrogptConfig(**config)
    model = importlib.import_module(f"{name}.modeling_microgpt").MicrogptForCausalLM(settings)
    model.load_state_dict(tensors_in(f"{folder}/model.safetensors"))
    return model.eval(), None


def greedy(model, ids, new_tokens):
    if transformers and hasattr(model, "generate"):
        out = model.generate(torch.tensor([ids]), max_new_tokens=new_tokens, do_sample=False, eos_token_id=None)
        return out[0, len(ids) :].tolist()
    for _ in range(new_tokens):
        ids = [*ids, model(torch.tensor([ids])).logits[0, -1].argmax().item()]
    return ids[-new_tokens:]


if transformers is None:
    stand_in()
print(json.dumps({"version": VERSION}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    model, tokenizer = load(asked["folder"])
    answer = None
    if model is not None:
        with torch.no_grad():
            ids = torch.tensor([asked["ids"]])
            out = model(ids, labels=ids)
            answer = {"logits": out.logits[0].flatten().tolist(), "loss": out.loss.item()}
            answer["greedy"] = greedy(model, asked["ids"][:2], asked["new_tokens"])
        if tokenizer is not None:
            answer["text"] = tokenizer(asked["text"], add_special_tokens=False)["input_ids"]
            answer["with_bos"] = tokenizer(asked["text"])["input_ids"]
            if asked["messages"]:
                chat = tokenizer.apply_chat_template(
                    asked["messages"], add_generation_prompt=True, tokenize=False
                )
                answer["chat"] = tokenizer(chat, add_special_tokens=False)["input_ids"]
    print(json.dumps(answer), flush=True)
