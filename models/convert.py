"""Writes a layers model of tfjs (topology and quantised weights, as JSON on standard input) as ONNX to the file that is named.

Only the layers that MobileNetV2 has are known; any other stops the conversion. The same input gives the same bytes: every
operation on weights is a single correctly rounded one (no sums, whose order could differ from machine to machine).
"""

import base64
import json
import sys

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

# Old enough for every runtime of the last years, new enough for Clip with inputs.
OPSET = 13
IR_VERSION = 8


def weights(manifest, shards):
    """Every weight by name. tfjs computes `q * scale + min` in double precision and stores single precision; so do we."""
    found = {}
    for group in manifest:
        raw, at = b"".join(base64.b64decode(shards[path]) for path in group["paths"]), 0
        for entry in group["weights"]:
            count, quantised = int(np.prod(entry["shape"])), entry["quantization"]
            if entry["dtype"] != "float32" or quantised["dtype"] != "uint8":
                raise SystemExit(f"{entry['name']} is stored as {quantised['dtype']}, which is not known here")
            values = np.frombuffer(raw, np.uint8, count, at).astype(np.float64)
            values = (values * quantised["scale"] + quantised["min"]).astype(np.float32)
            found[entry["name"]] = values.reshape(entry["shape"])
            at += count
        if at != len(raw):
            raise SystemExit(f"{len(raw) - at} bytes of weights are left over")
    return found


class Graph:
    """The ONNX graph so far: NCHW, batch normalisation folded into the convolution before it."""

    def __init__(self, weights):
        self.weights = weights
        self.nodes, self.constants = [], {}
        # What each layer of tfjs gives here, and the paddings that wait for the convolution after them.
        self.outputs, self.padding = {}, {}
        # The first layer that the present one reads.
        self.source = None
        # The convolution that made a value, for the normalisation after it.
        self.made_by = {}

    def constant(self, name, values):
        self.constants[name] = np.ascontiguousarray(values, np.float32)
        return name

    def node(self, kind, name, inputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        self.outputs[name] = name

    def add(self, layer):
        name, config = layer["name"], layer["config"]
        sources = [source[0] for nodes in layer["inbound_nodes"] for source in nodes]
        self.source = sources[0] if sources else None
        inputs = [self.outputs[source] for source in sources]
        add = getattr(self, "add_" + layer["class_name"].lower(), None)
        if add is None or config.get("data_format", "channels_last") != "channels_last":
            raise SystemExit(f"the layer {name} ({layer['class_name']}) is not known here")
        add(name, config, inputs)

    def add_inputlayer(self, name, config, _inputs):
        if config["batch_input_shape"] != [None, 224, 224, 3]:
            raise SystemExit(f"the input {config['batch_input_shape']} is not known here")
        self.outputs[name] = "input"

    def add_zeropadding2d(self, name, config, inputs):
        (top, bottom), (left, right) = config["padding"]
        self.outputs[name] = inputs[0]
        self.padding[name] = [top, left, bottom, right]

    def add_conv2d(self, name, config, inputs):
        # Height, width, in, out → out, in, height, width.
        self.convolve(name, config, inputs, self.weights[name + "/kernel"].transpose(3, 2, 0, 1), 1)

    def add_depthwiseconv2d(self, name, config, inputs):
        kernel = self.weights[name + "/depthwise_kernel"]
        if kernel.shape[3] != 1:
            raise SystemExit(f"{name} multiplies channels, which is not known here")
        self.convolve(name, config, inputs, kernel.transpose(2, 3, 0, 1), kernel.shape[2])

    def convolve(self, name, config, inputs, kernel, groups):
        plain = (config["activation"], config["use_bias"], config["dilation_rate"]) == ("linear", False, [1, 1])
        size, strides = list(kernel.shape[2:]), config["strides"]
        pads = [0, 0, 0, 0]
        if config["padding"] == "same":
            plain = plain and strides == [1, 1] and all(side % 2 == 1 for side in size)
            pads = [size[0] // 2, size[1] // 2] * 2
        if not plain:
            raise SystemExit(f"the convolution {name} is not known here")
        pads = self.padding.pop(self.source, pads)
        kernel = self.constant(name + ".kernel", kernel)
        attributes = {"kernel_shape": size, "strides": strides, "pads": pads, "group": groups}
        self.node("Conv", name, [inputs[0], kernel], **attributes)
        self.made_by[name] = self.nodes[-1]

    def add_batchnormalization(self, name, config, inputs):
        conv = self.made_by.pop(inputs[0], None)
        if conv is None or config["axis"] not in (-1, 3):
            raise SystemExit(f"{name} follows no convolution")
        gamma, beta, mean, variance = (
            self.weights[f"{name}/{part}"].astype(np.float64) for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + config["epsilon"])
        kernel = self.constants[conv.input[1]].astype(np.float64)
        self.constant(conv.input[1], kernel * factor[:, None, None, None])
        conv.input.append(self.constant(conv.name + ".bias", beta - mean * factor))
        self.outputs[name] = inputs[0]

    def add_relu(self, name, config, inputs):
        if (config["max_value"], config["negative_slope"], config["threshold"]) != (6, 0, 0):
            raise SystemExit(f"the activation {name} is not known here")
        self.node("Clip", name, [inputs[0], self.constant("zero", np.array(0)), self.constant("six", np.array(6))])

    def add_add(self, name, _config, inputs):
        self.node("Add", name, inputs)

    def add_averagepooling2d(self, name, config, inputs):
        if (config["pool_size"], config["strides"], config["padding"]) != ([7, 7], [7, 7], "valid"):
            raise SystemExit(f"the pooling {name} is not known here")
        # The map is 7×7 here: one value for each channel, so that flattening gives the same order in NCHW as in NHWC.
        self.node("AveragePool", name, inputs, kernel_shape=[7, 7], strides=[7, 7])

    def add_flatten(self, name, _config, inputs):
        self.node("Flatten", name, inputs)

    def add_dropout(self, name, _config, inputs):
        # Only training drops anything.
        self.outputs[name] = inputs[0]

    def add_dense(self, name, config, inputs):
        weight = self.constant(name + ".weight", self.weights[name + "/kernel"])
        bias = self.constant(name + ".bias", self.weights[name + "/bias"])
        activation = {"relu": "Relu", "softmax": "Softmax"}[config["activation"]]
        self.node("Gemm", name + ".linear", [inputs[0], weight, bias])
        self.node(activation, name, [name + ".linear"])


def convert(model, shards):
    config = model["modelTopology"]["model_config"]["config"]
    graph = Graph(weights(model["weightsManifest"], shards))
    for layer in config["layers"]:
        graph.add(layer)
    [[last, _, _]] = config["output_layers"]
    graph.node("Identity", "probabilities", [graph.outputs[last]])
    if graph.padding or graph.made_by:
        raise SystemExit("a padding or a convolution was not used up")
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "mobilenet_v2",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 5])],
            [numpy_helper.from_array(values, name) for name, values in graph.constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    checker.check_model(made, full_check=True)
    return made


if __name__ == "__main__":
    read = json.load(sys.stdin)
    with open(sys.argv[1], "wb") as file:
        file.write(convert(read["model"], read["shards"]).SerializeToString(deterministic=True))
