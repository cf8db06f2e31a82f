// The program of a model that is exported as Python, up to the model itself.

/** Between this and the next, the file has its model as JSON. */
export const MODEL_BEGINS = `\nMODEL = json.loads(r'''\n`;
export const MODEL_ENDS = `\n''')\n`;

/** What follows the model. */
export const MAIN = `\nif __name__ == "__main__":\n    main()\n`;

export const PROGRAM = String.raw`"""A GPT of microgpt's shape in one file: it writes texts, and trains further, with Python alone.

    python3 FILE                                    writes as many texts as it did where it was trained
    python3 FILE --num-samples 5 --temperature 0.8 --seed 7 --prompt a
    python3 FILE --train names.txt --steps 100      trains on a text, then writes
    python3 FILE --train names.txt --output new.py  and is saved with what it has learnt

microgpt-webgpu exported it, and reads it back: import FILE --output FOLDER.
"""

import argparse
import json
import math
import random


class Value:
    """A number that knows what it was computed from, and by which slope each of that moves it."""

    __slots__ = ("data", "grad", "inputs", "slopes")

    def __init__(self, data, inputs=(), slopes=()):
        self.data = data
        self.grad = 0.0
        self.inputs = inputs
        self.slopes = slopes

    def __add__(self, other):
        if not isinstance(other, Value):
            return Value(self.data + other, (self,), (1.0,))
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        if not isinstance(other, Value):
            return Value(self.data * other, (self,), (other,))
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))

    __radd__ = __add__
    __rmul__ = __mul__

    def backward(self):
        """Sets grad, the slope of this number, on everything that it was computed from."""
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            value, done = stack.pop()
            if done:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                stack.extend((x, False) for x in value.inputs)
        self.grad = 1.0
        for value in reversed(order):
            for x, slope in zip(value.inputs, value.slopes):
                x.grad += slope * value.grad


# What the model is made of. Each works on Values, to be trained, and on plain numbers, which are faster.


def exp(x):
    if not isinstance(x, Value):
        return math.exp(x)
    y = math.exp(x.data)
    return Value(y, (x,), (y,))


def log(x):
    return Value(math.log(x.data), (x,), (1 / x.data,))


def relu(x):
    if not isinstance(x, Value):
        return max(0.0, x)
    return Value(max(0.0, x.data), (x,), (1.0 if x.data > 0 else 0.0,))


def dot(a, b):
    if not isinstance(b[0], Value):
        return sum(x * y for x, y in zip(a, b))
    xs, ys = [x.data for x in a], [y.data for y in b]
    return Value(sum(x * y for x, y in zip(xs, ys)), (*a, *b), (*ys, *xs))


def linear(x, rows):
    return [dot(x, row) for row in rows]


def softmax(logits):
    largest = max(x.data if isinstance(x, Value) else x for x in logits)
    exps = [exp(x + -largest) for x in logits]
    scale = sum(exps) ** -1
    return [x * scale for x in exps]


def rmsnorm(x):
    scale = (dot(x, x) * (1 / len(x)) + SETTINGS["rmsnorm_eps"]) ** -0.5
    return [xi * scale for xi in x]


def activation(x):
    x = relu(x)
    return x * x if SETTINGS["activation"] == "relu_squared" else x


def gpt(weights, token, position, keys, values):
    """Logits of the token after this one; keys and values, a list for each layer, grow by those of this position."""
    head_dim = META["n_embd"] // META["n_head"]
    x = [a + b for a, b in zip(weights["wte"][token], weights["wpe"][position])]
    x = rmsnorm(x)
    for layer in range(META["n_layer"]):
        w = lambda name: weights[f"layer{layer}.{name}"]
        residual, x = x, rmsnorm(x)
        q = linear(x, w("attn_wq"))
        keys[layer].append(linear(x, w("attn_wk")))
        values[layer].append(linear(x, w("attn_wv")))
        heads = []
        for start in range(0, META["n_embd"], head_dim):
            part = slice(start, start + head_dim)
            scores = [dot(q[part], k[part]) * head_dim**-0.5 for k in keys[layer]]
            attention = softmax(scores)
            for channel in range(start, start + head_dim):
                heads.append(dot(attention, [v[channel] for v in values[layer]]))
        x = [a + b for a, b in zip(linear(heads, w("attn_wo")), residual)]
        residual, x = x, rmsnorm(x)
        x = linear([activation(h) for h in linear(x, w("mlp_fc1"))], w("mlp_fc2"))
        x = [a + b for a, b in zip(x, residual)]
    return linear(x, weights["lm_head"])


def empty_caches():
    return [[] for _ in range(META["n_layer"])], [[] for _ in range(META["n_layer"])]


def encode(text):
    unknown = next((c for c in text if c not in IDS), None)
    if unknown is not None:
        raise SystemExit(f"The model has no token for {unknown!r}; it knows {''.join(META['chars'])!r}.")
    return [IDS[c] for c in text]


def sample(weights, prompt, temperature):
    """A text, which begins with the prompt. Of documents it is one, from its beginning to its end."""
    tokens = [START, *encode(prompt)]
    room = META["block_size"]
    if len(tokens) > room:
        raise SystemExit(f"The prompt has {len(prompt)} characters, and the model sees {room - 1} of them.")
    keys, values = empty_caches()
    for position in range(min(room, len(tokens) - 1 + (SETTINGS["max_tokens"] or room))):
        logits = gpt(weights, tokens[position], position, keys, values)
        if position + 1 < len(tokens):
            continue
        if IS_STREAM:
            logits = logits[:BOS]  # which ends nothing there
        if temperature == 0:
            token = logits.index(max(logits))
        else:
            largest = max(logits)
            odds = [math.exp((x - largest) / temperature) for x in logits]
            total = sum(odds)
            token = random.choices(range(len(odds)), weights=[x / total for x in odds])[0]
        if token == BOS:
            break
        tokens.append(token)
    return "".join(META["chars"][token] for token in tokens[1:])


def sequences(path):
    """The tokens of each document, a line each; of a stream, of one part after the other."""
    text = open(path, encoding="utf-8").read()
    size = META["block_size"]
    if IS_STREAM:
        tokens = encode(text)
        return [tokens[i : i + size + 1] for i in range(0, len(tokens) - 1, size)]
    lines = [line.strip() for line in text.split("\n")]
    return [[BOS, *encode(line), BOS] for line in lines if line]


def train(weights, documents, steps, rate):
    """Adam with a rate that falls to zero, a document a step. Returns the weights after it, as numbers."""
    weights = {name: [[Value(x) for x in row] for row in rows] for name, rows in weights.items()}
    parameters = [x for rows in weights.values() for row in rows for x in row]
    means, squares = [0.0] * len(parameters), [0.0] * len(parameters)
    beta1, beta2, epsilon = (SETTINGS[name] for name in ("beta1", "beta2", "epsilon"))
    random.shuffle(documents)
    for step in range(steps):
        tokens = documents[step % len(documents)]
        n = min(META["block_size"], len(tokens) - 1)
        keys, values = empty_caches()
        losses = []
        for position in range(n):
            probabilities = softmax(gpt(weights, tokens[position], position, keys, values))
            losses.append(log(probabilities[tokens[position + 1]]) * -1)
        loss = sum(losses) * (1 / n)
        loss.backward()
        step_rate = rate * (1 - step / steps)
        for i, p in enumerate(parameters):
            means[i] = beta1 * means[i] + (1 - beta1) * p.grad
            squares[i] = beta2 * squares[i] + (1 - beta2) * p.grad**2
            mean = means[i] / (1 - beta1 ** (step + 1))
            square = squares[i] / (1 - beta2 ** (step + 1))
            p.data -= step_rate * mean / (math.sqrt(square) + epsilon)
            p.grad = 0.0
        print(f"step {step + 1}/{steps}  loss {loss.data:.6f}")
    return {name: [[x.data for x in row] for row in rows] for name, rows in weights.items()}


def save(path, weights, steps):
    """Writes this file anew, with other weights."""
    program = open(__file__, encoding="utf-8").read().split("\nMODEL = ")[0]
    meta = {**META, "microgpt": {**SETTINGS, "step": SETTINGS["step"] + steps}}
    rows = [f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in weights.items()]
    model = '{"meta": %s,\n"weights": {\n%s\n}}' % (json.dumps(meta), ",\n".join(rows))
    model = model.replace("'", "\\u0027")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{program}\nMODEL = json.loads(r'''\n{model}\n''')\n{MAIN}")


MAIN = '\nif __name__ == "__main__":\n    main()\n'


def main():
    global META, SETTINGS, IDS, BOS, IS_STREAM, START
    META = MODEL["meta"]
    SETTINGS = META["microgpt"]
    IDS = {char: id for id, char in enumerate(META["chars"])}
    BOS = len(META["chars"])
    IS_STREAM = SETTINGS["format"] == "text"
    # A stream has no beginning: it goes on after a line's end, or else the first character.
    START = IDS.get("\n", 0) if IS_STREAM else BOS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--num-samples", type=int, default=SETTINGS["num_samples"])
    parser.add_argument("--temperature", type=float, default=SETTINGS["temperature"])
    parser.add_argument("--seed", type=int, default=SETTINGS["seed"])
    parser.add_argument("--prompt", default="", help="what every text begins with")
    parser.add_argument("--train", metavar="TEXT", help="a text to train on")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=SETTINGS["learning_rate"])
    parser.add_argument("--output", metavar="FILE", help="where the trained program is written")
    args = parser.parse_args()
    if not 0 <= args.temperature < math.inf:
        parser.error("--temperature must be a number of at least 0")
    if args.output and not args.train:
        parser.error("--output is for what was learnt; give --train TEXT too")
    random.seed(args.seed)
    weights = MODEL["weights"]
    if args.train:
        documents = sequences(args.train)
        weights = train(weights, documents, args.steps, args.learning_rate)
        if args.output:
            save(args.output, weights, args.steps)
    for i in range(args.num_samples):
        if SETTINGS["dropout"] > 0:
            random.seed(args.seed + i)  # beyond microgpt each text has random numbers of its own
        print(f"sample {i + 1:2d}: {sample(weights, args.prompt, args.temperature)}")

`;
