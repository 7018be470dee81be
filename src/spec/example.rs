//! How each key may be written, for the remedy of an error.

/// An example for `key`, in backquotes; `None` for a key that explains itself.
pub(crate) fn example(key: &str) -> Option<&'static str> {
    Some(match key {
        "name" => "`name = \"my_experiment\"`",
        "kind" => "`kind = \"convergence\"` or `kind = \"timing\"`",
        "device" => "`device = \"auto\"`",
        "spectra" => "`spectra = [{ kind = \"exp\", base = 0.9 }]`",
        "base" => "`base = 0.9`",
        "small" => "`small = 1e-3`",
        "n" => "`n = 1000`",
        "threads" => "`threads = 2`",
        "data" => {
            "a section [data], for example with `source = \"mnist\"` and `root = \"data/mnist\"`"
        }
        "root" => "`root = \"data/mnist\"`, the folder of the IDX files, relative to the spec",
        "path" => "`path = \"data.safetensors\"`, relative to the spec",
        "batch" => "`batch = 256`",
        "x" => "`x = \"x.npy\"`, relative to the spec",
        "y" => "`y = \"y.npy\"`, relative to the spec",
        "samples" => "`samples = 1000`",
        "shape" => "`shape = [3, 32, 32]`",
        "classes" => "`classes = 10`",
        "outputs" => "`outputs = 1`",
        "batches" => "`batches = 10` or `batches = \"all\"`",
        "model" => "a section [model] with `layers = [{ kind = \"linear\", out = 10 }]`",
        "seed" => "`seed = 0`",
        "layers" => "`layers = [{ kind = \"linear\", out = 10 }]`",
        "weights" => {
            "`weights = \"model.safetensors\"` or `weights = \"run/step_*.safetensors\"`, relative to the spec"
        }
        "out" => "`out = 10`",
        "kernel_size" => "`kernel_size = 3`",
        "stride" => "`stride = 1`",
        "padding" => "`padding = 0`",
        "dilation" => "`dilation = 1`",
        "groups" => "`groups = 1`",
        "bias" => "`bias = false`",
        "loss" => "a section [loss] with `kind = \"cross_entropy\"`",
        "sampling" => "a section [sampling]",
        "V" => "`V = [10, 100]` or `V = { from = 10, to = 1000, steps = 30, scale = \"log\" }`",
        "V_batch" => "`V_batch = [10]` or `V_batch = \"auto\"`",
        "rtol" => "`rtol = 0.01`",
        "atol" => "`atol = 0.01`",
        "confidence" => "`confidence = 0.95`",
        "max_V" => "`max_V = 100000`",
        "seeds" => "`seeds = [0, 1]` or `seeds = { from = 0, count = 15 }`",
        "memory" => "`memory = \"2GiB\"`",
        "from" => "`from = 10`",
        "to" => "`to = 1000`",
        "steps" => "`steps = 30`",
        "count" => "`count = 15`",
        "timing" => "a section [timing] with `repeats = 5`",
        "warmup" => "`warmup = 1`",
        "repeats" => "`repeats = 5`",
        "estimator" => "a section [[estimator]] with `kind = \"exact\"`",
        "blocks" => "`blocks = \"full\"` or `blocks = \"parameter\"`",
        "product" => "`product = \"hmp\"` or `product = \"autodiff\"`",
        _ => return None,
    })
}
