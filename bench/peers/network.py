"""Palate's preference model in PyTorch, from the files that Palate ships: what a history and candidates come to in
margins. It follows docs/model.md and src/model/network.ts, reads item vectors as they are stored, and knows neither
encoder nor HTTP. What others made of an image is not read: the base model gives it no weight, and a model that does is
refused.

Shapes: U sequences, N judgements that the blocks read, M that the metric path reads, T candidates, d width, H heads,
h = d / H, P preference tokens, m metric numbers.
"""
import json
import math
import pathlib
from typing import NamedTuple

import torch
import torch.nn.functional as F

TOKEN_SHARPNESS = 8.0
AGREEMENT_COUNT = 20.0
MAX_RECENT = 256
NO_WEIGHT = 1e-30


class History(NamedTuple):
    """What a person judged, newest first, in rows of item vectors."""

    items: torch.Tensor  # (J, 256)
    judged: torch.Tensor  # (J, 2): weights, in the column of a like or of a dislike


class Metric(NamedTuple):
    """All that the metric path needs of a person, but for the targets."""

    style: torch.Tensor  # (style numbers, M)
    judged: torch.Tensor  # (M, 2)
    read: torch.Tensor  # (2)
    components: torch.Tensor  # (components): a₂ G t
    text: torch.Tensor  # (m', M)
    text_judged: torch.Tensor  # (M, 2)
    text_read: torch.Tensor  # (2)
    text_direction: torch.Tensor  # (m'): a₂ t


class State(NamedTuple):
    """A person read once, for any number of candidates."""

    keys: list  # a layer each: (1, H, h, N)
    values: list  # (1, H, N, h)
    key_bias: torch.Tensor  # (1, 1, 1, N)
    evidence: torch.Tensor  # W / (W + 1)
    direction: torch.Tensor  # (m): the token path's, times its gain
    metric: Metric
    rate_logit: float


def select(sides, limit):
    """Places of the judgements that the blocks read: the newest, likes and dislikes balanced where they can be."""
    likes = [i for i, side in enumerate(sides) if side == 0]
    dislikes = [i for i, side in enumerate(sides) if side == 1]
    like_places = min(len(likes), max(limit // 2, limit - len(dislikes)))
    dislike_places = min(len(dislikes), limit - like_places)
    return sorted(likes[:like_places] + dislikes[:dislike_places])


def unit(x):
    return F.normalize(x, dim=-1, eps=1e-8)


class Network:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        self.a = a = manifest["architecture"]
        self.calibration = manifest["calibration"]
        p = read_parameters(a, folder / manifest["weights"]["file"])
        if p["prior.gain"].item() != 0:
            raise SystemExit("This model reads what others made of an image; the peer does not.")
        if not all(a["parts"][part] for part in ("metricPath", "tokenPath", "cosineTokens", "evidenceGate")):
            raise SystemExit("This model lacks parts that the peer reckons with.")
        self.heads, self.size = a["heads"], a["width"] // a["heads"]
        self.like_labels, self.target_label = p["label"][:2], p["label"][2]
        self.probe = p["probe"]
        self.layers = [self.layer(p, f"block{i}.") for i in range(a["layers"])]
        self.head = (p["head.gain"], p["head.bias"])
        # The margin is l⁺ − l⁻: one row of the head instead of two.
        self.head_weight = (p["head.output"][:, 0] - p["head.output"][:, 1]).contiguous()
        self.head_bias = p["head.outputBias"][0] - p["head.outputBias"][1]
        pointers = (p["tokens"] @ p["tokenPath.directions"]).view(a["tokens"], a["heads"], a["imageMetric"])
        self.pointers = pointers.transpose(0, 1).reshape(-1, a["imageMetric"])
        self.token_gain = p["tokenPath.gain"]
        self.image = {name.split(".")[-1]: value for name, value in p.items() if name.startswith("metricPath.image.")}
        self.text = {name.split(".")[-1]: value for name, value in p.items() if name.startswith("metricPath.text.")}

    def layer(self, p, prefix):
        """Matrices as F.linear takes them, 1/√h within those of the queries, the tokens' keys and values ready."""
        d = self.a["width"]
        by_head = lambda rows: rows.view(self.a["tokens"], self.heads, self.size).transpose(0, 1)
        query_key_value, bias = p[f"{prefix}queryKeyValue"].clone(), p[f"{prefix}queryKeyValueBias"].clone()
        query_key_value[:, :d] *= self.size**-0.5
        bias[:d] *= self.size**-0.5
        linear = lambda weight, offset: (weight.t().contiguous(), offset)
        return {
            "norm": (p[f"{prefix}attentionNorm.gain"], p[f"{prefix}attentionNorm.bias"]),
            "qkv": linear(query_key_value, bias),
            "token_keys": (TOKEN_SHARPNESS * unit(by_head(p["tokens"] @ p[f"{prefix}tokenKeys"]))).mT.contiguous(),
            "token_values": by_head(p["tokens"] @ p[f"{prefix}tokenValues"]).contiguous(),
            "out": linear(p[f"{prefix}attentionOutput"], p[f"{prefix}attentionOutputBias"]),
            "norm2": (p[f"{prefix}feedForwardNorm.gain"], p[f"{prefix}feedForwardNorm.bias"]),
            "up": linear(p[f"{prefix}feedForward"], p[f"{prefix}feedForwardBias"]),
            "down": linear(p[f"{prefix}feedForwardOutput"], p[f"{prefix}feedForwardOutputBias"]),
        }

    # ------------------------------------------------------------ blocks

    def blocks(self, x, attend, asked=0):
        """x (U, S, d) through all blocks; `attend(layer, q, k, v)` says what the rows take from rows (U, H, S, h).
        Returns the rows from `asked` on and the last layer's attention over the tokens (U, H, S − asked, P): of the rows
        before, the last layer needs keys and values only."""
        U, S, d = x.shape
        for i, layer in enumerate(self.layers):
            projected = F.linear(F.layer_norm(x, (d,), *layer["norm"]), *layer["qkv"])
            q, k, v = projected.view(U, S, 3, self.heads, self.size).permute(2, 0, 3, 1, 4).unbind(0)
            if i == len(self.layers) - 1:
                x, q = x[:, asked:], q[:, :, asked:]
            tokens = torch.softmax(unit(q) @ layer["token_keys"], -1)
            taken = attend(i, q, k, v) + tokens @ layer["token_values"]
            x = x + F.linear(taken.transpose(1, 2).reshape(x.shape), *layer["out"])
            inner = F.gelu(F.linear(F.layer_norm(x, (d,), *layer["norm2"]), *layer["up"]))
            x = x + F.linear(inner, *layer["down"])
        return x, tokens

    def history_rows(self, history, sums, totals):
        """The judgements that the blocks read and the probe, (N + 1, d), and the judgements' weights (N, 2)."""
        sides = (history.judged[:, 0] == 0).long().tolist()
        places = select(sides, self.a["history"])
        judged = history.judged[places]
        labels = judged / judged.sum(-1, keepdim=True)
        rows = history.items[places, : self.a["width"]] + labels @ self.like_labels
        pseudo = self.image["logPseudoCount"].exp()
        taste = sums[0] / (pseudo + totals[0]) - sums[1] / (pseudo + totals[1])
        return torch.cat([rows, (unit(taste) @ self.probe).unsqueeze(0)]), judged

    def mask(self, judged, rows):
        """What each row may read of N judgements, the probe and `rows - N - 1` candidates: (rows, rows)."""
        N = judged.shape[0]
        mask = torch.full((rows, rows), -torch.inf)
        mask[:, :N] = judged.sum(-1).log()
        places = torch.arange(N, rows)
        mask[places, places] = 0
        return mask

    def direction(self, tokens):
        """Where the probe's attention over the tokens (H, P) points, times the token path's gain."""
        return self.token_gain * unit(tokens.reshape(-1) @ self.pointers)

    def of_blocks(self, rows):
        """The blocks' part of the margin, of candidates' rows after the last block (…, d)."""
        return F.layer_norm(rows, rows.shape[-1:], *self.head) @ self.head_weight + self.head_bias

    # ------------------------------------------------------------ metric path

    def metric(self, history, sums, totals):
        a = self.a
        d, m, c = a["width"], a["imageMetric"], a["components"]
        recent, judged = history.items[:MAX_RECENT, d:], history.judged[:MAX_RECENT]
        text = recent[:, m:]
        text_judged = judged * text.square().sum(-1, keepdim=True)
        text_sums, text_totals = text_evidence(history, d + m)
        style, components = recent[:, : m - c], recent[:, m - c : m]
        gate = (
            self.image["componentAgreement"] * agreement(components, judged)
            + self.image["styleAgreement"] * agreement(style, judged)
        ).exp()
        direction = between(sums, totals, self.image)
        return Metric(
            style=style.t().contiguous(),
            judged=judged,
            read=judged.sum(0),
            components=self.image["prototypeGain"] * gate * direction[m - c :],
            text=text.t().contiguous(),
            text_judged=text_judged,
            text_read=text_judged.sum(0),
            text_direction=self.text["prototypeGain"] * between(text_sums, text_totals, self.text),
        )

    def of_metric(self, metric, targets):
        """targets (T, 256) → (T)"""
        a = self.a
        d, m, c = a["width"], a["imageMetric"], a["components"]
        image, text = targets[:, d : d + m], targets[:, d + m :]
        of_image = density_ratio(self.image, image[:, : m - c] @ metric.style, metric.judged, metric.read)
        of_text = density_ratio(self.text, text @ metric.text, metric.text_judged, metric.text_read)
        of_text = (of_text + text @ metric.text_direction) * text.square().sum(-1)
        return of_image + image[:, m - c :] @ metric.components + of_text

    # ------------------------------------------------------------ the ways to a margin

    def read(self, history):
        """A person's state: the history and the probe through the blocks once."""
        sums, totals = history.judged.t() @ self.image_metric(history.items), history.judged.sum(0)
        rows, judged = self.history_rows(history, sums, totals)
        N = judged.shape[0]
        mask = self.mask(judged, N + 1)
        keys, values = [], []

        def attend(_layer, q, k, v):
            keys.append(k[:, :, :N].mT.contiguous())
            values.append(v[:, :, :N].contiguous())
            return torch.softmax(q @ k.mT + mask[-q.shape[2] :], -1) @ v

        _, tokens = self.blocks(rows.unsqueeze(0), attend, asked=N)
        weight = judged.sum()
        return State(
            keys=keys,
            values=values,
            key_bias=judged.sum(-1).log().view(1, 1, 1, N),
            evidence=weight / (weight + 1),
            direction=self.direction(tokens[0, :, 0]),
            metric=self.metric(history, sums, totals),
            rate_logit=rate_logit(totals),
        )

    def score(self, state, targets):
        """Margins of targets (T, 256) behind a state: (T)."""
        d, m = self.a["width"], self.a["imageMetric"]

        def attend(layer, q, k, v):
            to_history = q @ state.keys[layer] + state.key_bias
            to_self = (q * k).sum(-1, keepdim=True)
            over = torch.softmax(torch.cat([to_history, to_self], -1), -1)
            return over[..., :-1] @ state.values[layer] + over[..., -1:] * v

        rows, _ = self.blocks((targets[:, :d] + self.target_label).unsqueeze(0), attend)
        gated = self.of_blocks(rows[0]) + targets[:, d : d + m] @ state.direction
        return gated * state.evidence + self.of_metric(state.metric, targets)

    def forward(self, history, targets):
        """Margins of targets (T, 256), each in a sequence of its own behind the whole history, as a model of sequences is
        called: (T), and the person's like rate. The metric path, which has no sequence, reads the person once."""
        d, m, T = self.a["width"], self.a["imageMetric"], targets.shape[0]
        sums, totals = history.judged.t() @ self.image_metric(history.items), history.judged.sum(0)
        rows, judged = self.history_rows(history, sums, totals)
        N = judged.shape[0]
        x = torch.cat([rows.expand(T, N + 1, d), (targets[:, :d] + self.target_label).unsqueeze(1)], 1)
        mask = self.mask(judged, N + 2)
        attend = lambda _layer, q, k, v: torch.softmax(q @ k.mT + mask[-q.shape[2] :], -1) @ v
        rows, tokens = self.blocks(x, attend, asked=N)
        weight = judged.sum()
        gated = self.of_blocks(rows[:, 1]) + targets[:, d : d + m] @ self.direction(tokens[0, :, 0])
        margins = gated * (weight / (weight + 1)) + self.of_metric(self.metric(history, sums, totals), targets)
        return margins, rate_logit(totals)

    def image_metric(self, items):
        return items[:, self.a["width"] : self.a["width"] + self.a["imageMetric"]]

    def values(self, margins, rate):
        """P(like), calibrated."""
        c = self.calibration
        return torch.sigmoid(c["temperature"] * margins + (c["offset"] + c["likeRateWeight"] * rate))


def rate_logit(totals):
    likes, dislikes = totals.tolist()
    return math.log((likes + 1) / (dislikes + 1))


def between(sums, totals, gains):
    """t = μ₊ − μ₋ of a channel: (m)"""
    pseudo = gains["logPseudoCount"].exp()
    return sums[0] / (pseudo + totals[0]) - sums[1] / (pseudo + totals[1])


def text_evidence(history, start):
    text = history.items[:, start:]
    judged = history.judged * (text != 0).any(-1, keepdim=True)
    return judged.t() @ text, judged.sum(0)


def density_ratio(gains, similarity, judged, read):
    """a₁ (U₊ − U₋) of similarities (T, M) → (T)"""
    sharpness, pseudo = gains["logSharpness"].exp(), gains["logPseudoCount"].exp()
    rest = pseudo * (sharpness * gains["restSimilarity"]).exp()
    density = ((rest + (sharpness * similarity).exp() @ judged) / (pseudo + read)).log()
    return gains["kernelGain"] * (density[:, 0] - density[:, 1])


def agreement(recent, judged):
    """ρ: how far a person's judgements point the same way."""
    weights = judged.sum(-1)
    together = ((judged[:, 0] - judged[:, 1]) @ recent).square().sum()
    apart = weights @ recent.square().sum(-1)
    return (together - apart) / (together + apart * (weights.sum() / AGREEMENT_COUNT + 1) + 1e-6)


def read_parameters(a, file):
    """The flat file's numbers by name, in the order of src/model/parameters.ts."""
    d, hidden, m = a["width"], a["hidden"], a["imageMetric"]
    specs = [("item.image", (a["imageInputs"], d)), ("item.text", (a["textInputs"], d)), ("item.bias", (d,))]
    specs += [("item.missingPrompt", (d,)), ("metric.image", (a["imageInputs"], m)), ("metric.imageBias", (m,))]
    specs += [("metric.text", (a["textInputs"], a["textMetric"])), ("label", (3, d)), ("probe", (m, d))]
    for i in range(a["layers"]):
        b = f"block{i}."
        specs += [(f"{b}attentionNorm.gain", (d,)), (f"{b}attentionNorm.bias", (d,))]
        specs += [(f"{b}queryKeyValue", (d, 3 * d)), (f"{b}queryKeyValueBias", (3 * d,))]
        specs += [(f"{b}tokenKeys", (d, d)), (f"{b}tokenValues", (d, d))]
        specs += [(f"{b}attentionOutput", (d, d)), (f"{b}attentionOutputBias", (d,))]
        specs += [(f"{b}feedForwardNorm.gain", (d,)), (f"{b}feedForwardNorm.bias", (d,))]
        specs += [(f"{b}feedForward", (d, hidden)), (f"{b}feedForwardBias", (hidden,))]
        specs += [(f"{b}feedForwardOutput", (hidden, d)), (f"{b}feedForwardOutputBias", (d,))]
    specs += [("head.gain", (d,)), ("head.bias", (d,)), ("head.output", (d, 2)), ("head.outputBias", (2,))]
    specs += [("tokens", (a["tokens"], d)), ("tokenPath.directions", (d, a["heads"] * m)), ("tokenPath.gain", (1,))]
    coefficients = ["kernelGain", "prototypeGain", "logSharpness", "restSimilarity", "logPseudoCount"]
    specs += [(f"metricPath.image.{name}", (1,)) for name in coefficients]
    specs += [(f"metricPath.image.{name}", (1,)) for name in ("componentAgreement", "styleAgreement")]
    specs += [(f"metricPath.text.{name}", (1,)) for name in coefficients]
    specs += [("prior.ridge", (d + m + a["textMetric"], 1)), ("prior.constant", (1,)), ("prior.gain", (1,))]
    flat = torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.float32)
    parameters, start = {}, 0
    for name, shape in specs:
        end = start + math.prod(shape)
        parameters[name] = flat[start:end].view(shape)
        start = end
    return parameters
