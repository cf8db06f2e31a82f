"""The model of the run, in plain PyTorch: its parameters have the names and shapes of model.safetensors."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

ACTIVATIONS = {
    "relu": torch.relu,
    "relu_squared": lambda x: torch.relu(x) ** 2,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "swiglu": F.silu,
}


def norm(x, gain, eps):
    """RMSNorm, in float32 whatever x is, with a gain where the model has one."""
    wide = x.float()
    y = (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)
    return y if gain is None else y * gain


def attention(q, k, v):
    """Causal, (B, heads, T, channels of a head)."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    T = q.shape[2]
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v


class Part(nn.Module):
    """Holds parameters under their own names; those that a model has not are None."""

    def __init__(self, config, weights):
        super().__init__()
        self.config = config
        for name, weight in weights.items():
            self.register_parameter(name, nn.Parameter(weight))

    def of(self, name):
        return self._parameters.get(name)

    def drop(self, x):
        return F.dropout(x, self.config["dropout"], self.training)


class Block(Part):
    def forward(self, x, turn):
        config, eps = self.config, self.config["rmsnorm_eps"]
        NH = config["n_head"]
        NKV = config["n_kv_head"] or NH
        B, T, _ = x.shape

        def heads(h, weight, count, gain):
            y = F.linear(h, weight).view(B, T, count, -1).transpose(1, 2)
            return norm(y, gain, eps) if config["qk_norm"] else y

        h = norm(x, self.of("attn_norm"), eps)
        q = turn(heads(h, self.attn_wq, NH, self.of("q_norm")))
        k = turn(heads(h, self.attn_wk, NKV, self.of("k_norm")))
        v = F.linear(h, self.attn_wv).view(B, T, NKV, -1).transpose(1, 2)
        k, v = (t.repeat_interleave(NH // NKV, 1) for t in (k, v))
        h = attention(q, k, v).transpose(1, 2).reshape(B, T, -1)
        x = x + self.drop(F.linear(h, self.attn_wo))
        h = norm(x, self.of("mlp_norm"), eps)
        y = F.linear(h, self.mlp_fc1)
        act = ACTIVATIONS[config["activation"]]
        y = act(y) if self.of("mlp_gate") is None else act(F.linear(h, self.mlp_gate)) * y
        return x + self.drop(F.linear(y, self.mlp_fc2))


class GPT(Part):
    def __init__(self, config, weights):
        """`weights` has all parameters by their names, such as wte and layer0.attn_wq."""
        super().__init__(config, {name: w for name, w in weights.items() if "." not in name})
        self.blocks = []  # a plain list: their names are those of the attributes
        for l in range(config["n_layer"]):
            at = f"layer{l}."
            block = Block(config, {name[len(at) :]: w for name, w in weights.items() if name.startswith(at)})
            self.add_module(f"layer{l}", block)
            self.blocks.append(block)

    def turning(self, T, device):
        """How q and k are turned by their positions, half of a head's channels with the other half."""
        config = self.config
        if config["position"] != "rope":
            return lambda x: x
        HS = config["head_dim"] or config["n_embd"] // config["n_head"]
        rates = config["rope_theta"] ** -(torch.arange(HS // 2, device=device, dtype=torch.float64) * 2 / HS)
        angles = torch.outer(torch.arange(T, device=device, dtype=torch.float64), rates)
        cos, sin = (torch.cat([part, part], 1).float() for part in (angles.cos(), angles.sin()))

        def turn(x):
            first, second = x.chunk(2, -1)
            return x * cos.to(x.dtype) + torch.cat([-second, first], -1) * sin.to(x.dtype)

        return turn

    def forward(self, ids):
        """Logits (B, T, V) of the tokens that follow each of ids (B, T)."""
        config = self.config
        T = ids.shape[1]
        x = F.embedding(ids, self.wte)
        if config["position"] == "learned":
            x = x + self.wpe[:T]
        if config["embedding_norm"]:
            x = norm(x, None, config["rmsnorm_eps"])
        x = self.drop(x)
        turn = self.turning(T, ids.device)
        for block in self.blocks:
            again = config["recompute"] and self.training
            x = checkpoint(block, x, turn, use_reentrant=False) if again else block(x, turn)
        if config["final_norm"]:
            x = norm(x, self.of("final_norm"), config["rmsnorm_eps"])
        logits = F.linear(x, self.wte if config["tie_embeddings"] else self.lm_head).float()
        cap = config["logit_softcap"]
        return cap * torch.tanh(logits / cap) if cap > 0 else logits
