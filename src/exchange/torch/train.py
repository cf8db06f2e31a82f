"""Goes on with a run of microgpt-webgpu in PyTorch: the same data in the same order, schedule and optimizer.

    torchrun --nproc_per_node 8 train.py
    python3 train.py                        on one process

Prints a JSON line a step. What it has learnt is saved in this folder, every --save-every steps and at the end: the same
command goes on there, and so does microgpt-webgpu, which reads the folder as one of its own.
"""

import argparse
import json
import math
import os

try:
    import torch
    import torch.distributed as dist
    import torch.nn.functional as F
except ImportError as error:
    raise SystemExit(f"PyTorch is needed, and Python does not find it ({error}): https://pytorch.org tells how to install it.")

from folder import IGNORED, Data, read_tensors, write_tensors, write_text
from model import GPT

RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
RUN_FILE, MODEL_FILE = "training.safetensors", "model.safetensors"


# One process or many. Where a tensor is spread over them, each holds a part of it.


def spread(model, device):
    if WORLD == 1:
        return model.to(device)
    try:
        if device.type == "cpu":
            raise ImportError("its streams are those of GPUs")
        from torch.distributed.fsdp import fully_shard  # from PyTorch 2.6 on
    except ImportError:
        return torch.nn.parallel.DistributedDataParallel(model.to(device))  # each holds all of it
    for block in model.blocks:
        fully_shard(block)
    return fully_shard(model)


def whole(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def alike(tensor, other):
    """`tensor`, the same on all processes, where and as `other` is."""
    tensor = tensor.to(other.device)
    if not hasattr(other, "full_tensor"):
        return tensor.clone()
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, other.device_mesh, other.placements)


# Schedule and optimizers.


def factor(config, step):
    """Of every learning rate, from 0 to 1."""
    steps, warmup, final = config["num_steps"], config["warmup_steps"], config["final_lr_fraction"]
    if step < warmup:
        return (step + 1) / warmup
    u = (step - warmup) / (steps - warmup)
    part = {
        "constant": 1,
        "linear": 1 - u,
        "cosine": (1 + math.cos(math.pi * u)) / 2,
        "wsd": min(1, (steps - step) / (steps * config["decay_fraction"])),
    }[config["lr_schedule"]]
    return final + (1 - final) * part


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum, weight_decay):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p]["momentum_buffer"]
                m.mul_(group["momentum"]).add_(p.grad)
                update = alike(orthogonal(whole(p.grad + group["momentum"] * m)), p)
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(update, alpha=group["lr"] * math.sqrt(max(1, p.shape[0] / p.shape[1])))


def orthogonal(g):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    x = x.T if g.shape[0] > g.shape[1] else x
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if g.shape[0] > g.shape[1] else x


class Sgd(torch.optim.SGD):
    """With a weight decay that is no part of the gradient."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["decoupled"])
        super().step()


# What an optimizer keeps under which name, in PyTorch and in the run's file.
KEPT = {"exp_avg": "m.", "exp_avg_sq": "v.", "momentum_buffer": "m."}


def optimizers_of(config, params):
    by_muon = {
        name: p
        for name, p in params.items()
        if config["optimizer"] == "muon" and name.startswith("layer") and p.dim() == 2
    }
    rest = [p for name, p in params.items() if name not in by_muon]
    matrices, gains = ([p for p in rest if p.dim() == dim] for dim in (2, 1))
    decays = [(matrices, config["weight_decay"]), (gains, 0)]
    lr = config["learning_rate"]
    if config["optimizer"] == "sgd":
        groups = [{"params": some, "decoupled": decay} for some, decay in decays if some]
        return [Sgd(groups, lr, config["sgd_momentum"])]
    groups = [{"params": some, "weight_decay": decay} for some, decay in decays if some]
    adamw = torch.optim.AdamW(groups, lr, (config["beta1"], config["beta2"]), config["epsilon"])
    muon = [config["muon_lr"], config["muon_momentum"], config["weight_decay"]]
    return [adamw, *([Muon(by_muon.values(), *muon)] if by_muon else [])]


def restore(optimizers, params, tensors, updates):
    names = {p: name for name, p in params.items()}
    for optimizer in optimizers:
        keys = ["exp_avg", "exp_avg_sq"] if isinstance(optimizer, torch.optim.AdamW) else ["momentum_buffer"]
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
            for p in group["params"]:
                kept = {key: alike(tensors[KEPT[key] + names[p]], p.data) for key in keys}
                optimizer.state[p] = kept | ({"step": torch.tensor(float(updates))} if len(keys) == 2 else {})


# The run.


class Run:
    def __init__(self, flags):
        tensors, self.texts = read_tensors(RUN_FILE)
        self.names = list(tensors)
        self.config, self.training = (json.loads(self.texts[name]) for name in ("config", "training"))
        if flags.steps is not None:
            self.config["num_steps"] = flags.steps
        cuda = torch.cuda.is_available() and not flags.cpu
        local = int(os.environ.get("LOCAL_RANK", 0))
        self.device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(self.device)
        if WORLD > 1:
            dist.init_process_group("nccl" if cuda else "gloo")
        model = GPT(self.config, {n: t for n, t in tensors.items() if not n.startswith(("m.", "v."))})
        self.engine = spread(model, self.device)
        self.params = dict(model.named_parameters())
        self.optimizers = optimizers_of(self.config, self.params)
        skipped = self.training["scaler"][2]  # steps whose gradients overflowed, in half precision
        restore(self.optimizers, self.params, tensors, self.config["step"] - skipped)
        self.data = Data(self.config)
        self.bf16 = flags.bf16

    def loss(self, inputs, targets):
        """Sum over the targets."""
        inputs, targets = inputs.to(self.device), targets.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits = self.engine(inputs)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")

    def step(self):
        """One step: its loss, the norm of its gradient, and its learning rate."""
        config, step = self.config, self.config["step"]
        batches, num_targets = self.data.step(step, RANK, WORLD)
        total = torch.zeros((), device=self.device)
        for batch in batches:
            loss = self.loss(*batch) / num_targets
            (loss * WORLD).backward()  # processes take the mean of their gradients
            total += loss.detach()
        if WORLD > 1:
            dist.all_reduce(total)
        norm = whole(torch.nn.utils.clip_grad_norm_(list(self.params.values()), math.inf)).item()
        if norm > config["grad_clip"] > 0:
            for p in self.params.values():
                p.grad.mul_(config["grad_clip"] / norm)
        if not math.isfinite(norm) or not math.isfinite(total.item()):
            raise SystemExit(f"The loss of step {step + 1} is {total.item()}; the run is as it was last saved.")
        scale = factor(config, step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        config["step"] += 1
        self.training["tokens"] += num_targets
        return {"step": step + 1, "loss": total.item(), "lr": config["learning_rate"] * scale, "grad_norm": norm}

    @torch.no_grad()
    def validate(self):
        self.engine.eval()
        batches = self.data.validation()
        total = sum(self.loss(*batch).item() for batch in batches)
        count = sum(int((targets != IGNORED).sum()) for _, targets in batches)
        self.engine.train()
        return {"step": self.config["step"], "val_loss": total / count}

    def save(self):
        found = dict(self.params)
        for optimizer in self.optimizers:
            for name, p in self.params.items():
                for key, kept in optimizer.state.get(p, {}).items():
                    if key in KEPT and kept is not None:
                        found[KEPT[key] + name] = kept
        # In the file's order, and on all processes at once: each has a part.
        tensors = {name: whole(found[name]).cpu() for name in self.names}
        if RANK > 0:
            return
        # The best model of its validations lies elsewhere.
        self.training |= {"best": None, "validated": True, "skips": 0, "kernels": None}
        if self.training["adapter"] is not None:
            self.training["adapter"] = f"PyTorch {torch.__version__}"
        config, training = (json.dumps(part, indent=2) + "\n" for part in (self.config, self.training))
        texts = self.texts | {"config": config, "training": training}
        write_tensors(RUN_FILE, tensors, texts)
        del texts["training"]
        write_text("config.json", config)
        write_tensors(MODEL_FILE, {n: t for n, t in tensors.items() if n in self.params}, texts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, help="of the whole run, those that are done included")
    parser.add_argument("--log-every", type=int, default=1)
    parser.add_argument("--save-every", type=int, default=1000)
    parser.add_argument("--bf16", action="store_true", help="products in bfloat16")
    parser.add_argument("--cpu", action="store_true", help="not on a GPU, even where there is one")
    flags = parser.parse_args()
    run = Run(flags)
    config = run.config
    first, last = config["step"], config["num_steps"]
    if first >= last:
        raise SystemExit(f"The run has done all its {last} steps. To train it further, give --steps more.")

    def tell(event):
        if RANK == 0:
            print(json.dumps(event), flush=True)

    for step in range(first + 1, last + 1):
        event = run.step()
        if step % flags.log_every == 0 or step == last:
            tell(event)
        due = config["eval_every"] > 0 and step % config["eval_every"] == 0
        if len(run.data.held_out) > 0 and (due or step == last):
            tell(run.validate())
        if step % flags.save_every == 0 or step == last:
            run.save()
    if WORLD > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
