// The code that a Hugging Face folder brings for shapes that transformers has no class for.

export const CONFIGURATION_PY = String.raw`"""Settings of a model that microgpt-webgpu trained, for transformers (trust_remote_code=True)."""

from transformers import PretrainedConfig


class MicrogptConfig(PretrainedConfig):
    model_type = "microgpt"

    def __init__(
        self,
        vocab_size=27,
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=4,
        max_position_embeddings=16,
        activation="relu",  # relu, relu_squared, gelu, swiglu
        position="learned",  # learned, rope
        rope_theta=10000.0,
        qk_norm=False,
        norm_gain=False,
        embedding_norm=True,
        final_norm=False,
        tie_embeddings=False,
        logit_softcap=0.0,  # s in s * tanh(logits / s), 0 for none
        rmsnorm_eps=1e-5,
        initializer_range=0.08,
        microgpt=None,
        **kwargs,
    ):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim
        self.max_position_embeddings = max_position_embeddings
        self.activation = activation
        self.position = position
        self.rope_theta = rope_theta
        self.qk_norm = qk_norm
        self.norm_gain = norm_gain
        self.embedding_norm = embedding_norm
        self.final_norm = final_norm
        self.tie_embeddings = tie_embeddings
        self.logit_softcap = logit_softcap
        self.rmsnorm_eps = rmsnorm_eps
        self.initializer_range = initializer_range
        self.microgpt = microgpt
        super().__init__(**kwargs)
`;

export const MODELING_PY = String.raw`"""A model that microgpt-webgpu trained, for transformers (trust_remote_code=True)."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from .configuration_microgpt import MicrogptConfig


class RMSNorm(nn.Module):
    def __init__(self, size, eps, gain):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size)) if gain else None

    def forward(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps)
        return x if self.weight is None else x * self.weight


def turned(x, positions, theta):
    """Rope: the channel pairs (i, i + HS/2) of x (B, heads, T, HS), turned by their positions (B, T)."""
    half = x.shape[-1] // 2
    rates = theta ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angles = positions[:, None, :, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


ACTIVATIONS = {
    "relu": F.relu,
    "relu_squared": lambda x: F.relu(x).square(),
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "swiglu": F.silu,
}


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        C, HS, H = config.hidden_size, config.head_dim, config.intermediate_size
        NH, NKV = config.num_attention_heads, config.num_key_value_heads
        norm = lambda size: RMSNorm(size, config.rmsnorm_eps, config.norm_gain)
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.attn_norm = norm(C)
        self.attn_wq = linear(C, NH * HS)
        self.attn_wk = linear(C, NKV * HS)
        self.attn_wv = linear(C, NKV * HS)
        if config.qk_norm:
            self.q_norm = norm(HS)
            self.k_norm = norm(HS)
        self.attn_wo = linear(NH * HS, C)
        self.mlp_norm = norm(C)
        if config.activation == "swiglu":
            self.mlp_gate = linear(C, H)
        self.mlp_fc1 = linear(C, H)
        self.mlp_fc2 = linear(H, C)

    def attention(self, x, positions, seen):
        config = self.config
        B, T, _ = x.shape
        heads = lambda y: y.view(B, T, -1, config.head_dim).transpose(1, 2)
        q, k, v = heads(self.attn_wq(x)), heads(self.attn_wk(x)), heads(self.attn_wv(x))
        if config.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        if config.position == "rope":
            q, k = turned(q, positions, config.rope_theta), turned(k, positions, config.rope_theta)
        shared = config.num_attention_heads // config.num_key_value_heads
        k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        scores = q @ k.transpose(2, 3) / math.sqrt(config.head_dim)
        scores = scores.masked_fill(~seen, torch.finfo(scores.dtype).min)
        return self.attn_wo((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, -1))

    def mlp(self, x):
        act = ACTIVATIONS[self.config.activation]
        if self.config.activation == "swiglu":
            return self.mlp_fc2(act(self.mlp_gate(x)) * self.mlp_fc1(x))
        return self.mlp_fc2(act(self.mlp_fc1(x)))

    def forward(self, x, positions, seen):
        x = x + self.attention(self.attn_norm(x), positions, seen)
        return x + self.mlp(self.mlp_norm(x))


class MicrogptForCausalLM(PreTrainedModel, GenerationMixin):
    config_class = MicrogptConfig
    _no_split_modules = ["Layer"]

    def __init__(self, config):
        super().__init__(config)
        C, V = config.hidden_size, config.vocab_size
        self.wte = nn.Embedding(V, C)
        if config.position == "learned":
            self.wpe = nn.Embedding(config.max_position_embeddings, C)
        if config.embedding_norm:
            self.embedding_norm = RMSNorm(C, config.rmsnorm_eps, False)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        if config.final_norm:
            self.final_norm = RMSNorm(C, config.rmsnorm_eps, config.norm_gain)
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(C, V, bias=False)
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(0, self.config.initializer_range)

    def get_input_embeddings(self):
        return self.wte

    def prepare_inputs_for_generation(self, input_ids, attention_mask=None, **kwargs):
        T = self.config.max_position_embeddings
        mask = None if attention_mask is None else attention_mask[:, -T:]
        return {"input_ids": input_ids[:, -T:], "attention_mask": mask}

    def forward(self, input_ids, attention_mask=None, labels=None, **kwargs):
        config = self.config
        B, T = input_ids.shape
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        causal = torch.ones(T, T, dtype=torch.bool, device=input_ids.device).tril()
        seen = causal & attention_mask.bool()[:, None, None, :]
        x = self.wte(input_ids)
        if config.position == "learned":
            x = x + self.wpe(positions)
        if config.embedding_norm:
            x = self.embedding_norm(x)
        for layer in self.layers:
            x = layer(x, positions, seen)
        if config.final_norm:
            x = self.final_norm(x)
        logits = F.linear(x, self.wte.weight) if config.tie_embeddings else self.lm_head(x)
        if config.logit_softcap > 0:
            logits = config.logit_softcap * torch.tanh(logits / config.logit_softcap)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return CausalLMOutput(loss=loss, logits=logits)
`;
