"""A run of `train`, made with PyTorch in float64 and its autograd, to compare with: torch.ts starts it.

    python3 torch_twin.py --config run.json --input names.txt

run.json is the config that a run says it has (`train --json`, its first line); of micro-batches all are one batch here.
A run of adapters (lora_rank) has its frozen weights in base.safetensors, which --base names.
Prints a JSON line for every step, with its loss and the norm of its gradient, and one for the validation at the end,
where something is held out.
"""

import argparse
import json
import math
import random

import numpy as np
import torch
import torch.nn.functional as F

IGNORED = -1
MOST_POSITIONS = 2**15  # that a validation looks at


# Random numbers that are a function of seed, step and place: Philox 4x32-10 (Salmon et al. 2011).


def words(integer):
    return [integer & 0xFFFFFFFF, integer >> 32]


def philox(counter, key):
    """Four words of 32 bits for each counter; `counter` is four arrays that broadcast."""
    u32 = np.uint64(0xFFFFFFFF)
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k, l = key
    for _ in range(10):
        ac, cc = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        shift = np.uint64(32)
        a, b, c, d = (cc >> shift) ^ b ^ np.uint64(k), cc & u32, (ac >> shift) ^ d ^ np.uint64(l), ac & u32
        k, l = (k + 0x9E3779B9) & 0xFFFFFFFF, (l + 0xBB67AE85) & 0xFFFFFFFF
    return a, b, c, d


def window_start(seed, step, row, count):
    a, b, _, _ = (int(word) for word in philox([row, 0, *words(step)], words(seed)))
    return math.floor(((a >> 5) * 2**26 + (b >> 6)) / 2**53 * count)


class Dropout:
    """Leaves elements out in one step; element (row, t, c) has the same number however long the batch is."""

    def __init__(self, config, step):
        self.rate, self.context = config["dropout"], config["block_size"]
        self.seed, self.step = config["seed"], step

    def __call__(self, x, tensor):
        if self.rate == 0:
            return x
        rows, length, channels = x.shape
        size = rows * self.context * channels
        four = philox([np.arange(-(-size // 4)), 1 + tensor, *words(self.step)], words(self.seed))
        word = np.stack(np.broadcast_arrays(*four), 1).reshape(-1)[:size]
        kept = (word >= math.floor(self.rate * 2**32)).reshape(rows, self.context, channels)[:, :length]
        return torch.where(torch.from_numpy(kept.copy()), x / (1 - self.rate), torch.zeros((), dtype=x.dtype))


# Text.


class Text:
    """What is trained on in which step, and what is held out."""

    def __init__(self, path, config, rng):
        self.config = config
        known = {"format": ("lines", "text"), "tokenizer": ("char",), "val_split": ("end",)}
        for name, choices in known.items():
            if config.get(name, choices[0]) not in choices:
                raise SystemExit(f"{name} is {config[name]}, and here only {' or '.join(choices)} can be.")
        text = open(path, encoding="utf-8", newline=None).read()
        self.stream = config["format"] == "text"
        documents = [text] if self.stream else [line.strip() for line in text.split("\n") if line.strip()]
        ids = {char: i for i, char in enumerate(sorted(set("".join(documents))))}
        bos = len(ids)
        self.vocab_size = bos + 1
        if self.stream:
            whole = [ids[char] for char in text]
        else:
            rng.shuffle(documents)
            whole = [[bos, *(ids[c] for c in document), bos][: config["block_size"] + 1] for document in documents]
        held = math.floor(config["val_fraction"] * len(whole) + 0.5)
        self.train, rest = whole[: len(whole) - held], whole[len(whole) - held :]
        if self.stream:
            size = config["block_size"]
            rest = [rest[first : first + size + 1] for first in range(0, len(rest) - 1, size)]
        most = max(1, MOST_POSITIONS // config["block_size"])
        self.held_out = rest if len(rest) <= most else [rest[i * len(rest) // most] for i in range(most)]

    def batch(self, step):
        rows = self.config["batch_size"] * self.config["grad_accumulation"]
        if not self.stream:
            return pack([self.train[(step * rows + row) % len(self.train)] for row in range(rows)])
        size, seed = self.config["block_size"], self.config["seed"]
        starts = [window_start(seed, step, row, len(self.train) - size) for row in range(rows)]
        return pack([self.train[start : start + size + 1] for start in starts])


def pack(rows):
    length = max(len(row) for row in rows) - 1
    inputs = torch.zeros(len(rows), length, dtype=torch.long)
    targets = torch.full((len(rows), length), IGNORED)
    for b, row in enumerate(rows):
        inputs[b, : len(row) - 1] = torch.tensor(row[:-1])
        targets[b, : len(row) - 1] = torch.tensor(row[1:])
    return inputs, targets


# The model.


def hidden_channels(config):
    if config["mlp_hidden"] > 0:
        return config["mlp_hidden"]
    C = config["n_embd"]
    return -(-8 * C // (3 * 64)) * 64 if config["activation"] == "swiglu" else 4 * C


def heads_of(config):
    NH = config["n_head"]
    return NH, config["n_kv_head"] or NH, config["head_dim"] or config["n_embd"] // NH


def shapes_of(config, vocab_size):
    """Every parameter in the order in which it is drawn; of one dimension are the gains."""
    C, H, gains = config["n_embd"], hidden_channels(config), config["norm_gain"]
    NH, NKV, HS = heads_of(config)
    shapes = {"wte": (vocab_size, C)}
    if config["position"] == "learned":
        shapes["wpe"] = (config["block_size"], C)
    if not config["tie_embeddings"]:
        shapes["lm_head"] = (vocab_size, C)
    for l in range(config["n_layer"]):
        layer = {
            "attn_norm": (C,) if gains else None,
            "attn_wq": (NH * HS, C),
            "attn_wk": (NKV * HS, C),
            "attn_wv": (NKV * HS, C),
            "q_norm": (HS,) if gains and config["qk_norm"] else None,
            "k_norm": (HS,) if gains and config["qk_norm"] else None,
            "attn_wo": (C, NH * HS),
            "mlp_norm": (C,) if gains else None,
            "mlp_gate": (H, C) if config["activation"] == "swiglu" else None,
            "mlp_fc1": (H, C),
            "mlp_fc2": (C, H),
        }
        shapes |= {f"layer{l}.{name}": shape for name, shape in layer.items() if shape}
    if gains and config["final_norm"]:
        shapes["final_norm"] = (C,)
    return shapes


def initial(name, shape, config, rng):
    if len(shape) == 1:
        return torch.ones(shape, requires_grad=True)
    zero = config["zero_init"] and name.endswith(("attn_wo", "mlp_fc2"))
    drawn = [rng.gauss(0, 0 if zero else config["init_std"]) for _ in range(shape[0] * shape[1])]
    return torch.tensor(drawn).reshape(shape).requires_grad_()


def frozen(path):
    """The tensors of a safetensors file, which are not trained."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {name: info for name, info in json.loads(data[8:start]).items() if name != "__metadata__"}
    types = {"F32": np.float32, "F64": np.float64}

    def read(info):
        begin, end = info["data_offsets"]
        floats = np.frombuffer(data[start + begin : start + end], types[info["dtype"]])
        return torch.tensor(floats.astype(np.float64)).reshape(info["shape"])

    return {name: read(info) for name, info in tensors.items()}


TARGETS = {"q": "attn_wq", "k": "attn_wk", "v": "attn_wv", "o": "attn_wo", "gate": "mlp_gate", "up": "mlp_fc1", "down": "mlp_fc2"}
GROUPS = {"all": list(TARGETS), "attention": ["q", "k", "v", "o"], "mlp": ["gate", "up", "down"]}


def adapters(w, config):
    """As PEFT begins: A within 1 / sqrt(its inputs), B zero."""
    rng, R = random.Random(config["seed"]), config["lora_rank"]
    words = config["lora_targets"].split(",")
    wanted = [target for word in words for target in GROUPS.get(word, [word])]
    found = {}
    for l in range(config["n_layer"]):
        for target, name in TARGETS.items():
            weight = w.get(f"layer{l}.{name}")
            if target not in wanted or weight is None:
                continue
            OC, IC = weight.shape
            drawn = [(2 * rng.random() - 1) / math.sqrt(IC) for _ in range(R * IC)]
            found[f"layer{l}.{name}.lora_A"] = torch.tensor(drawn).reshape(R, IC).requires_grad_()
            found[f"layer{l}.{name}.lora_B"] = torch.zeros(OC, R, requires_grad=True)
    return found


ACTIVATIONS = {
    "relu": torch.relu,
    "relu_squared": lambda x: torch.relu(x) ** 2,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
}


def logits_of(w, config, inputs, drop):
    B, T = inputs.shape
    NH, NKV, HS = heads_of(config)
    rope = config["position"] == "rope"
    if rope:
        pairs = torch.arange(HS // 2) * (2 / HS)
        angles = torch.outer(torch.arange(T).double(), config["rope_theta"] ** -pairs)
        cos, sin = (torch.cat([part, part], 1) for part in (angles.cos(), angles.sin()))

    def norm(x, gain):
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + config["rmsnorm_eps"])
        return x * w[gain] if gain in w else x

    def heads(x, count):
        return x.reshape(B, T, count, HS).transpose(1, 2)

    def turned(x):
        if not rope:
            return x
        first, second = x.chunk(2, -1)
        return x * cos + torch.cat([-second, first], -1) * sin

    def linear(x, name):
        out = x @ w[name].T
        if name + ".lora_A" not in w:
            return out
        scale = config["lora_alpha"] / config["lora_rank"] or 2
        return out + scale * (x @ w[name + ".lora_A"].T @ w[name + ".lora_B"].T)

    x = F.embedding(inputs, w["wte"])
    if not rope:
        x = x + w["wpe"][:T]
    if config["embedding_norm"]:
        x = norm(x, None)
    x = drop(x, 0)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for l in range(config["n_layer"]):
        at = f"layer{l}."
        h = norm(x, at + "attn_norm")
        q, k, v = (heads(linear(h, at + f"attn_w{n}"), count) for n, count in (("q", NH), ("k", NKV), ("v", NKV)))
        if config["qk_norm"]:
            q, k = norm(q, at + "q_norm"), norm(k, at + "k_norm")
        q, k = turned(q), turned(k)
        k, v = (t.repeat_interleave(NH // NKV, 1) for t in (k, v))
        scores = (q @ k.transpose(-1, -2) / math.sqrt(HS)).masked_fill(future, -math.inf)
        h = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, NH * HS)
        x = x + drop(linear(h, at + "attn_wo"), 1 + 2 * l)
        h = norm(x, at + "mlp_norm")
        if config["activation"] == "swiglu":
            h = F.silu(linear(h, at + "mlp_gate")) * linear(h, at + "mlp_fc1")
        else:
            h = ACTIVATIONS[config["activation"]](linear(h, at + "mlp_fc1"))
        x = x + drop(linear(h, at + "mlp_fc2"), 2 + 2 * l)
    if config["final_norm"]:
        x = norm(x, "final_norm")
    logits = x @ w["wte" if config["tie_embeddings"] else "lm_head"].T
    cap = config["logit_softcap"]
    return cap * torch.tanh(logits / cap) if cap > 0 else logits


def cross_entropy(w, config, batch, drop, reduction="mean"):
    inputs, targets = batch
    logits = logits_of(w, config, inputs, drop).flatten(0, 1)
    return F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction=reduction)


# Optimizers.


def factor(config, step):
    """Of every learning rate, from 0 to 1."""
    steps, warmup, final = config["num_steps"], config["warmup_steps"], config["final_lr_fraction"]
    if step < warmup:
        return (step + 1) / warmup
    u = (step - warmup) / (steps - warmup)
    f = {
        "constant": 1,
        "linear": 1 - u,
        "cosine": (1 + math.cos(math.pi * u)) / 2,
        "wsd": min(1, (steps - step) / (steps * config["decay_fraction"])),
    }[config["lr_schedule"]]
    return final + (1 - final) * f


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum, weight_decay):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                m.mul_(group["momentum"]).add_(p.grad)
                update = orthogonal(p.grad + group["momentum"] * m)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * math.sqrt(max(1, p.shape[0] / p.shape[1])) * update)


def orthogonal(g):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    x = x.T if g.shape[0] > g.shape[1] else x
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def optimizers_of(w, config):
    lr, decay = config["learning_rate"], config["weight_decay"]
    gains = [p for p in w.values() if p.dim() == 1]
    by_muon = [p for name, p in w.items() if config["optimizer"] == "muon" and name.startswith("layer") and p.dim() == 2]
    matrices = [p for p in w.values() if p.dim() == 2 and not any(p is other for other in by_muon)]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": gains, "weight_decay": 0}]
    groups = [group for group in groups if group["params"]]
    if config["optimizer"] == "sgd":
        # Its own weight decay is added to the gradient; ours is decoupled, as AdamW's.
        return [torch.optim.SGD([group | {"weight_decay": 0} for group in groups], lr, config["sgd_momentum"])]
    betas = (config["beta1"], config["beta2"])
    found = [torch.optim.AdamW(groups, lr, betas, config["epsilon"])] if groups else []
    return found + ([Muon(by_muon, config["muon_lr"], config["muon_momentum"], decay)] if by_muon else [])


def train(w, config, text):
    trained = {name: p for name, p in w.items() if p.requires_grad}
    optimizers = optimizers_of(trained, config)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    for step in range(config["num_steps"]):
        loss = cross_entropy(w, config, text.batch(step), Dropout(config, step))
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in trained.values()))
        # Exactly to the norm that is asked for; clip_grad_norm_ divides by the norm + 1e-6.
        if norm > config["grad_clip"] > 0:
            for p in trained.values():
                p.grad.mul_(config["grad_clip"] / norm)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor(config, step)
        if config["optimizer"] == "sgd":
            with torch.no_grad():
                for p in trained.values():
                    if p.dim() == 2:
                        p.mul_(1 - config["learning_rate"] * factor(config, step) * config["weight_decay"])
        for optimizer in optimizers:
            optimizer.step()
        print(json.dumps({"type": "step", "step": step + 1, "loss": loss.item(), "grad_norm": norm}), flush=True)


@torch.no_grad()
def validate(w, config, sequences):
    total, count = 0.0, 0
    for first in range(0, len(sequences), 32):
        batch = pack(sequences[first : first + 32])
        total += cross_entropy(w, config, batch, lambda x, _: x, "sum").item()
        count += (batch[1] != IGNORED).sum().item()
    print(json.dumps({"type": "eval", "step": config["num_steps"], "val_loss": total / count}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--base")
    flags = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    config = json.load(open(flags.config, encoding="utf-8"))
    rng = random.Random(config["seed"])
    text = Text(flags.input, config, rng)
    if flags.base:
        w = frozen(flags.base)
        w |= adapters(w, config)
    else:
        shapes = shapes_of(config, text.vocab_size)
        w = {name: initial(name, shape, config, rng) for name, shape in shapes.items()}
    train(w, config, text)
    if text.held_out:
        validate(w, config, text.held_out)


if __name__ == "__main__":
    main()
