"""The objectives as objects: names, configs, stages, other Distillers, errors."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_logitkd import losses

TEACHER, STUDENT = (3 * np.random.default_rng(7).standard_normal((2, 4, 10))).astype(np.float32)

ALL_LOSSES = {
    "kl": lambda: losses.LogitKL(3.0, scale="squared", reduction="sum", name="mine"),
    "kl_zero": lambda: losses.LogitKL(0),
    "kl_inf": lambda: losses.LogitKL(math.inf, dtype="float32"),
    "mse": lambda: losses.LogitMSE("sum", reduction="none", name="squares"),
    "kl_standardized": lambda: losses.LogitKL(3.0, standardize=True),
    "bkl": lambda: losses.LogitBernoulliKL(2.0, "none", "sum", name="labels"),
    "ttm": lambda: losses.LogitTTM(math.inf, weighted=True),
    "sequential": lambda: losses.SequentialLoss([("kl:inf", 0), (losses.LogitMSE("sum"), 5)]),
}


def soft_kl(teacher, student, temperature):
    """tau^2 KL in float64."""
    z_t, z_s = teacher.astype("f8") / temperature, student.astype("f8") / temperature
    log_p = z_t - np.log(np.sum(np.exp(z_t), axis=-1, keepdims=True))
    log_q = z_s - np.log(np.sum(np.exp(z_s), axis=-1, keepdims=True))
    return temperature**2 * np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=-1))


def dense(units=10, inputs=6):
    return keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(units)])


@pytest.mark.parametrize("make", ALL_LOSSES.values(), ids=ALL_LOSSES)
def test_config_round_trips_through_json(make):
    loss = make()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    twin = keras.saving.deserialize_keras_object(config)
    assert type(twin) is type(loss)
    assert json.dumps(keras.saving.serialize_keras_object(twin)) == json.dumps(config)
    assert (twin.name, twin.reduction, twin.dtype) == (loss.name, loss.reduction, loss.dtype)
    direct = type(loss).from_config(loss.get_config())
    for epoch in (0, 5):
        for each in (loss, twin, direct):
            if isinstance(each, losses.SequentialLoss):
                each.set_epoch(epoch)
        expected = loss(TEACHER, STUDENT)
        np.testing.assert_array_equal(twin(TEACHER, STUDENT), expected)
        np.testing.assert_array_equal(direct(TEACHER, STUDENT), expected)


def test_configs_are_what_they_were_before_there_were_more_options():
    # Saved models and the names of runs hold these: an option that is not asked for is not there.
    common = {"name": "logit_kl", "reduction": "sum_over_batch_size"}
    config = {**common, "temperature": 3.0, "scale": "max"}
    assert json.dumps(losses.LogitKL(3.0).get_config()) == json.dumps(config)
    assert losses.LogitKL.from_config(config).standardize is False
    asked = losses.LogitKL(3.0, standardize=True).get_config()
    assert asked == {**config, "standardize": True}


def test_from_config_leaves_its_argument_unchanged():
    loss = ALL_LOSSES["sequential"]()
    config = loss.get_config()
    before = json.dumps(config)
    losses.SequentialLoss.from_config(config)
    assert json.dumps(config) == before


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mse", losses.LogitMSE),
        ("kl", losses.LogitKL),
        ("kl", lambda: losses.LogitKL(4.0)),
        ("kl:3", lambda: losses.LogitKL(3.0)),
        ("kl:0.5", lambda: losses.LogitKL(0.5)),
        ("kl:1e4", lambda: losses.LogitKL(1e4)),
        ("kl:0", lambda: losses.LogitKL(0)),
        ("kl:inf", lambda: losses.LogitKL(math.inf)),
        ("kl:3,standardize=true", lambda: losses.LogitKL(3.0, standardize=True)),
        ("bkl", losses.LogitBernoulliKL),
        ("bkl:2,label_reduction=sum", lambda: losses.LogitBernoulliKL(2, label_reduction="sum")),
        ("ttm", losses.LogitTTM),
        ("ttm:2,weighted=true", lambda: losses.LogitTTM(2.0, weighted=True)),
    ],
)
def test_get_string_config_and_instance_give_the_same_number(name, make):
    instance = make()
    config = keras.saving.serialize_keras_object(instance)
    numbers = [float(losses.get(x)(TEACHER, STUDENT)) for x in (name, config, instance)]
    assert numbers[0] == numbers[1] == numbers[2] != 0
    assert losses.get(instance) is instance


def test_get_names_give_different_numbers():
    names = ["mse", "kl", "kl:3", "kl:0.5", "kl:0", "kl:inf", "bkl:3", "ttm:3"]
    names += ["kl:3,standardize=true", "ttm:3,weighted=true"]
    assert len({float(losses.get(name)(TEACHER, STUDENT)) for name in names}) == len(names)


def test_logit_kl_string_is_the_textbook_number():
    assert float(losses.get("kl:3")(TEACHER, STUDENT)) == pytest.approx(
        soft_kl(TEACHER, STUDENT, 3.0), rel=1e-5
    )


@pytest.mark.parametrize("compiled", [None, {}, {"jit_compile": True}])
def test_sequential_loss_set_epoch_switches(compiled):
    loss = losses.SequentialLoss([("kl:3", 0), ("mse", 2), ("kl:inf", 3)])
    stages = [losses.LogitKL(3.0), losses.LogitKL(3.0), losses.LogitMSE(), losses.LogitKL(math.inf)]
    student, traces = tf.constant(STUDENT), []

    def step(loss=loss):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(student)
            value = loss(TEACHER, student)
        return value, tape.gradient(value, student)

    run = step if compiled is None else tf.function(step, **compiled)
    for epoch in (0, 1, 2, 3, 99, 1):
        loss.set_epoch(epoch)
        value, gradient = run()
        expected = step(stages[min(epoch, 3)])
        np.testing.assert_allclose(value, expected[0], rtol=1e-6)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-6, atol=1e-9)
    if compiled is not None:
        assert len(traces) == 1 + 6


def test_sequential_loss_follows_the_epochs_of_a_callback():
    loss, seen = losses.SequentialLoss([("kl:3", 0), ("mse", 1)]), []
    setter = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: loss.set_epoch(epoch),
        on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]),
    )
    model = dense(inputs=10)
    model.compile(keras.optimizers.SGD(0.0), loss=loss, jit_compile=False)
    model.fit(STUDENT, TEACHER, epochs=2, verbose=0, callbacks=[setter])
    logits = model.predict(STUDENT, verbose=0)
    expected = [losses.get(name)(TEACHER, logits) for name in ("kl:3", "mse")]
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("temperature", "keras_loss", "truth"),
    [
        (3.0, None, 6.742),
        (0.1, None, 0.3584),
        (0.1, keras.losses.KLDivergence, 0.3584),
        (1e4, keras.losses.KLDivergence, 8.208),
    ],
)
def test_logit_kl_is_right_where_keras_is_wrong(temperature, keras_loss, truth):
    teacher, student = np.random.default_rng(0).standard_normal((2, 4, 10)).astype(np.float32) * 3
    assert soft_kl(teacher, student, temperature) == pytest.approx(truth, rel=1e-3)
    ours = losses.LogitKL(temperature, scale="squared")
    assert float(ours.compute_loss(teacher, student)) == pytest.approx(
        soft_kl(teacher, student, temperature), rel=1e-5
    )
    arguments = {} if keras_loss is None else {"loss": keras_loss()}
    theirs = keras.distillation.LogitsDistillation(temperature=temperature, **arguments)
    assert abs(float(theirs.compute_loss(teacher, student)) / truth - 1) > 0.3


@pytest.mark.parametrize(
    "temperature", [-1, -1e-9, math.nan, -math.inf, "x", "4", True, None, [4.0]]
)
def test_temperature_out_of_range(temperature):
    for call in (
        lambda: losses.LogitKL(temperature),
        lambda: losses.logit_kl(TEACHER, STUDENT, temperature),
    ):
        with pytest.raises(ValueError, match="`temperature` must be a number in") as error:
            call()
        assert f"Received: temperature={temperature!r}" in str(error.value)


@pytest.mark.parametrize("temperature", [np.float32(3), np.int64(3), 3])
def test_temperature_any_real_number(temperature):
    loss = losses.LogitKL(temperature)
    assert type(loss.get_config()["temperature"]) is float
    assert float(loss(TEACHER, STUDENT)) == float(losses.LogitKL(3.0)(TEACHER, STUDENT))


@pytest.mark.parametrize("scale", ["Max", "", None, 2])
def test_scale_unknown(scale):
    with pytest.raises(ValueError, match=r"`scale` must be one of .*max") as error:
        losses.LogitKL(3.0, scale=scale)
    assert f"Received: scale={scale!r}" in str(error.value)


@pytest.mark.parametrize(
    ("temperature", "scale"), [(0, "none"), (0.0, "squared"), (math.inf, "none")]
)
def test_scale_without_a_limit(temperature, scale):
    with pytest.raises(ValueError, match="`scale` must be") as error:
        losses.LogitKL(temperature, scale=scale)
    assert f"Received: scale={scale!r}" in str(error.value)
    assert f"temperature {temperature}" in str(error.value)


@pytest.mark.parametrize("reduction", ["Mean", "none", None, 1])
def test_class_reduction_unknown(reduction):
    with pytest.raises(ValueError, match="`class_reduction` must be one of") as error:
        losses.LogitMSE(reduction)
    assert f"Received: class_reduction={reduction!r}" in str(error.value)


@pytest.mark.parametrize("loss", ["mse", "kl:3", "kl:0", "kl:inf", "bkl:3", "ttm"])
@pytest.mark.parametrize("shape", [(4, 9), (4, 1), (4,)])
def test_class_counts_differ(loss, shape):
    logits = np.zeros(shape, np.float32)
    for pair in ((logits, STUDENT), (STUDENT, logits)):
        with pytest.raises(ValueError, match="same classes"):
            losses.get(loss).call(*pair)


@pytest.mark.parametrize(
    "starts",
    [[], [1], [0, 0], [0, 3, 2], [5, 0], [-1, 0], [0, 1.5], [0, None], [0, "x"], [0, math.nan]],
)
def test_stages_out_of_order(starts):
    with pytest.raises(ValueError, match="`stages`") as error:
        losses.SequentialLoss([("mse", start) for start in starts])
    assert str(starts) in str(error.value)


def test_stages_nested():
    inner = losses.SequentialLoss([("mse", 0)])
    with pytest.raises(ValueError, match="`stages` must not contain a SequentialLoss"):
        losses.SequentialLoss([(inner, 0), ("mse", 1)])


@pytest.mark.parametrize("stages", ["mse", [losses.LogitMSE()], [("mse", 0, 1)], None])
def test_stages_are_not_pairs(stages):
    with pytest.raises(ValueError, match="`stages`"):
        losses.SequentialLoss(stages)


@pytest.mark.parametrize(
    "identifier",
    ["", "MSE", "mse:3", "kld", "kl:3:4", None, 3, {}, {"a": 1}, losses.LogitKL, "kl_divergence"],
)
def test_get_unknown(identifier):
    with pytest.raises(ValueError, match=r"mse|temperature"):
        losses.get(identifier)


@pytest.mark.parametrize("identifier", ["kl:", "kl:-1", "kl:nan", "kl:x"])
def test_get_bad_temperature(identifier):
    with pytest.raises(ValueError, match="`temperature` must be a number in") as error:
        losses.get(identifier)
    assert identifier.partition(":")[2].lstrip("-") in str(error.value)


def test_get_stages_string():
    loss = losses.get("kl:3@0,mse@2")
    for epoch, name in [(0, "kl:3"), (1, "kl:3"), (2, "mse")]:
        loss.set_epoch(epoch)
        expected = float(losses.get(name)(TEACHER, STUDENT))
        assert float(loss(TEACHER, STUDENT)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "identifier", ["kl:3@0,mse", "kl:3@", "@0", "mse@1", "mse@0,kl@0", "mse@-1", "mse@0,", "mse@x"]
)
def test_get_bad_stages_string(identifier):
    with pytest.raises(ValueError, match=r"`stages`|`distillation_loss`"):
        losses.get(identifier)
