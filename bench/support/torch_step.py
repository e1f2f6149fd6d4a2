"""The training step of bench/pytorch.ts in PyTorch: each line on stdin is one step, answered by its loss.

usage: python3 torch_step.py THREADS  (sizes as JSON on the first line)
"""
import json
import math
import sys

import torch
import torch.nn.functional as F

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)
c = json.loads(sys.stdin.readline())
U, N, d, H, L, P, hidden = (c[k] for k in ("users", "judgements", "width", "heads", "layers", "tokens", "hidden"))
S, h = N + 2, c["width"] // c["heads"]  # a liked and a disliked target


def parameter(*shape, scale=None):
    return torch.nn.Parameter(torch.randn(*shape) * (shape[0] ** -0.5 if scale is None else scale))


def block():
    return {
        "norm1": [torch.nn.Parameter(torch.ones(d)), torch.nn.Parameter(torch.zeros(d))],
        "norm2": [torch.nn.Parameter(torch.ones(d)), torch.nn.Parameter(torch.zeros(d))],
        "qkv": [parameter(d, 3 * d), parameter(3 * d, scale=0)],
        "keys": [parameter(d, d)],
        "values": [parameter(d, d)],
        "out": [parameter(d, d, scale=0.02), parameter(d, scale=0)],
        "up": [parameter(d, hidden), parameter(hidden, scale=0)],
        "down": [parameter(hidden, d), parameter(d, scale=0)],
    }


blocks = [block() for _ in range(L)]
image, text, bias = parameter(c["imageInputs"], d), parameter(c["textInputs"], d), parameter(d, scale=0)
label, tokens = parameter(3, d, scale=0.5), parameter(P, d, scale=0.5)
head = [torch.nn.Parameter(torch.ones(d)), torch.nn.Parameter(torch.zeros(d)), parameter(d, 2), parameter(2, scale=0)]
everything = [image, text, bias, label, tokens, *head] + [p for b in blocks for ps in b.values() for p in ps]
matrices = [p for p in everything if p.dim() == 2 and p is not label and p is not tokens]
others = [p for p in everything if all(p is not m for m in matrices)]
optimiser = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}], lr=1e-3
)

mask = torch.zeros(S, S)
mask[:, N:] = -1e9  # nothing attends to a target but itself
mask[range(N, S), range(N, S)] = 0
x_image, x_text = torch.randn(U * S, c["imageInputs"]), torch.randn(U * S, c["textInputs"])
who = torch.tensor([i % 2 for i in range(N)] + [2, 2]).repeat(U)


def forward():
    x = torch.addmm(bias, x_image, image) + x_text @ text + label[who]
    for b in blocks:
        y = F.layer_norm(x, (d,), *b["norm1"])
        q, k, v = torch.addmm(b["qkv"][1], y, b["qkv"][0]).view(U, S, 3, H, h).permute(2, 3, 0, 1, 4).unbind(0)
        q = q / math.sqrt(h)
        own = torch.softmax(q @ k.transpose(-1, -2) + mask, -1) @ v
        tk = (tokens @ b["keys"][0]).view(P, H, h).permute(1, 0, 2)
        tv = (tokens @ b["values"][0]).view(P, H, h).permute(1, 0, 2)
        drawn = (torch.softmax(q.reshape(H, U * S, h) @ tk.transpose(-1, -2), -1) @ tv).view(H, U, S, h)
        x = x + torch.addmm(b["out"][1], (own + drawn).permute(1, 2, 0, 3).reshape(U * S, d), b["out"][0])
        inner = F.gelu(torch.addmm(b["up"][1], F.layer_norm(x, (d,), *b["norm2"]), b["up"][0]))
        x = x + torch.addmm(b["down"][1], inner, b["down"][0])
    targets = x.view(U, S, d)[:, N:]
    return F.layer_norm(targets, (d,), head[0], head[1]) @ head[2] + head[3]


for _ in sys.stdin:
    optimiser.zero_grad(set_to_none=True)
    liked, disliked = forward().unbind(1)
    margin, apart = liked - disliked, lambda l: l[:, 0] - l[:, 1]
    base = (F.softplus(-apart(liked)).mean() + F.softplus(apart(disliked)).mean()) / 2
    loss = base + F.softplus(-margin[:, 0]).mean() + F.softplus(margin[:, 1]).mean()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(everything, 1.0)
    optimiser.step()
    print(loss.item(), flush=True)
