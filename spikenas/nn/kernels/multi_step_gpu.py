"""A multi-step neuron in Triton, the computation of ``multi_step.c``; `GPUKernel` launches it.

Arrays x, s, g are [T, rows, C], dense. A program handles a tile of rows x channels and runs all
steps with the membranes in registers, in float32 whatever the dtype of x. Steps are split into one
chunk of ``rest`` steps, then ``full`` chunks of ``chunk`` steps; each is loaded at once. Backward
visits the chunks in reverse and recomputes the membrane before a chunk from the first step.
Reductions over rows are split into parts of ``repeats`` tiles that depend on shapes alone, so equal
runs give equal bits. ``div_rn`` rounds as CPUs do, and floating-point contraction is off
(`enable_fp_fusion=False` at launch), so for finite currents spikes equal those of the definition.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows"])
def forward(
    x, x_step, scale, shift, spikes, counts, rows, channels, c, threshold, soft,
    charge: tl.constexpr, rest: tl.constexpr, full: tl.constexpr, chunk: tl.constexpr,
    block_rows: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    """Write spikes and their number in each tile; with an x_step of 0, x is the same at all steps.

    ``soft`` is 1 for a reset by subtraction, 0 for one to zero.
    """
    program = tl.program_id(0)
    blocks = tl.cdiv(channels, block_channels)
    column = program % blocks
    offsets, mask = _tile(program // blocks, column, rows, channels, block_rows, block_channels)
    scales = _of_channels(scale, 1.0, column, channels, block_channels)
    shifts = _of_channels(shift, 0.0, column, channels, block_channels)
    x += offsets
    spikes += offsets
    x_step = tl.cast(x_step, tl.int64)
    step = tl.cast(rows, tl.int64) * channels
    v = tl.zeros((block_rows, block_channels), tl.float32)
    fired = tl.zeros((block_rows, block_channels), tl.int32)
    v, fired = _fire(
        x, x_step, spikes, step, mask, scales, shifts, v, fired, c, threshold, soft, charge, rest
    )  # fmt: skip
    if full > 0:
        for i in range(full):
            t = tl.cast(i, tl.int64) * chunk + rest
            v, fired = _fire(
                x + t * x_step, x_step, spikes + t * step, step, mask, scales, shifts, v, fired,
                c, threshold, soft, charge, chunk,
            )  # fmt: skip
    tl.store(counts + program, tl.sum(tl.sum(fired, 1), 0))


@triton.jit(do_not_specialize=["rows", "repeats"])
def backward(
    x, x_step, scale, shift, centre, grad, grad_y, sums, leaks, rows, channels, c, threshold, soft,
    dh_dx, dh_dv, through, repeats, charge: tl.constexpr, surrogate: tl.constexpr,
    is_held: tl.constexpr, rest: tl.constexpr, full: tl.constexpr, chunk: tl.constexpr,
    block_rows: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    """Write dL/dy, summed over time if x is held, and for each part the sums to be added.

    ``sums`` [parts, 2, C] are those of dL/dy and dL/dy (x - centre), ``leaks`` dL/dc of a learnt
    leak.
    """
    program = tl.program_id(0)
    blocks = tl.cdiv(channels, block_channels)
    column = program % blocks
    scales = _of_channels(scale, 1.0, column, channels, block_channels)
    shifts = _of_channels(shift, 0.0, column, channels, block_channels)
    centres = _of_channels(centre, 0.0, column, channels, block_channels)
    x_step = tl.cast(x_step, tl.int64)
    step = tl.cast(rows, tl.int64) * channels
    of_grad = tl.zeros((block_rows, block_channels), tl.float32)
    of_grad_x = tl.zeros((block_rows, block_channels), tl.float32)
    leak = tl.zeros((block_rows, block_channels), tl.float32)
    for i in range(repeats):
        row = program // blocks * repeats + i
        offsets, mask = _tile(row, column, rows, channels, block_rows, block_channels)
        carry = tl.zeros((block_rows, block_channels), tl.float32)
        total = tl.zeros((block_rows, block_channels), tl.float32)
        if full > 0:
            for j in range(full):
                steps = rest + (full - 1 - j) * chunk
                t = tl.cast(steps, tl.int64)
                v = _membrane(
                    x + offsets, x_step, mask, scales, shifts, c, threshold, soft, charge, steps
                )  # fmt: skip
                carry, total, of_grad_x, leak = _learn(
                    x + t * x_step + offsets, x_step, grad + t * step + offsets,
                    grad_y + t * x_step + offsets, step, mask, scales, shifts, centres, v,
                    carry, total, of_grad_x, leak, c, threshold, soft, dh_dx, dh_dv, through,
                    charge, surrogate, is_held, chunk,
                )  # fmt: skip
        v = tl.zeros((block_rows, block_channels), tl.float32)
        carry, total, of_grad_x, leak = _learn(
            x + offsets, x_step, grad + offsets, grad_y + offsets, step, mask, scales, shifts,
            centres, v, carry, total, of_grad_x, leak, c, threshold, soft, dh_dx, dh_dv, through,
            charge, surrogate, is_held, rest,
        )  # fmt: skip
        of_grad += total
        if is_held:
            tl.store(grad_y + offsets, total.to(grad_y.dtype.element_ty), mask=mask)
    if sums is not None:
        _store_sums(sums, of_grad, of_grad_x, program // blocks, column, channels, block_channels)
    if leaks is not None:
        tl.store(leaks + program, tl.sum(tl.sum(leak, 1), 0))


@triton.jit(do_not_specialize=["rows", "repeats"])
def moments(
    x, sums, rows, channels, repeats, block_rows: tl.constexpr, block_channels: tl.constexpr,
):  # fmt: skip
    """Write the mean of each part of x [rows, C], and the sum of squared deviations from it."""
    program = tl.program_id(0)
    blocks = tl.cdiv(channels, block_channels)
    column, part = program % blocks, program // blocks
    first = tl.cast(part, tl.int64) * repeats
    offsets, mask = _tile(first, column, rows, channels, block_rows, block_channels)
    values = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
    about = tl.sum(values, 0) / tl.minimum(rows - first * block_rows, block_rows).to(tl.float32)
    of_u = tl.zeros((block_rows, block_channels), tl.float32)
    of_squares = tl.zeros((block_rows, block_channels), tl.float32)
    for i in range(repeats):
        offsets, mask = _tile(first + i, column, rows, channels, block_rows, block_channels)
        values = tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32)
        u = tl.where(mask, values - about[None, :], 0.0)
        of_u += u
        of_squares += u * u
    n = tl.minimum(rows - first * block_rows, repeats * block_rows).to(tl.float32)
    off = tl.sum(of_u, 0) / n
    squares = tl.sum(of_squares, 0) - off * off * n
    _store_pair(sums, about + off, squares, part, column, channels, block_channels)


@triton.jit(do_not_specialize=["rows", "parts", "part_rows"])
def merge_moments(
    sums, mean, variance, rows, channels, parts, part_rows, block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):  # fmt: skip
    """Combine the ``sums`` of all parts into mean and biased variance of each channel."""
    column = tl.program_id(0)
    channel, is_there = _channels(column, channels, block_channels)
    about = tl.load(sums + channel, mask=is_there, other=0.0)
    off = tl.zeros((block_rows, block_channels), tl.float32)
    for i in range(tl.cdiv(parts, block_rows)):
        n, offsets, mask = _parts(i, rows, parts, part_rows, channel, channels, block_rows)
        off += n * (tl.load(sums + offsets, mask=mask, other=0.0) - about[None, :])
    off_mean = tl.sum(off, 0) / rows
    squares = tl.zeros((block_rows, block_channels), tl.float32)
    for i in range(tl.cdiv(parts, block_rows)):
        n, offsets, mask = _parts(i, rows, parts, part_rows, channel, channels, block_rows)
        u = tl.load(sums + offsets, mask=mask, other=0.0) - about[None, :] - off_mean[None, :]
        squares += n * u * u + tl.load(sums + offsets + channels, mask=mask, other=0.0)
    tl.store(mean + channel, about + off_mean, mask=is_there)
    tl.store(variance + channel, tl.maximum(tl.sum(squares, 0) / rows, 0.0), mask=is_there)


@triton.jit(do_not_specialize=["rows", "repeats"])
def gradient_sums(
    x, grad, centre, sums, rows, channels, repeats, block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):  # fmt: skip
    """Write for each part [2, C] the sums over rows of g and of g (x - centre)."""
    program = tl.program_id(0)
    blocks = tl.cdiv(channels, block_channels)
    column, part = program % blocks, program // blocks
    centres = _of_channels(centre, 0.0, column, channels, block_channels)
    of_grad = tl.zeros((block_rows, block_channels), tl.float32)
    of_grad_x = tl.zeros((block_rows, block_channels), tl.float32)
    for i in range(repeats):
        row = part * repeats + i
        offsets, mask = _tile(row, column, rows, channels, block_rows, block_channels)
        g = tl.load(grad + offsets, mask=mask, other=0.0).to(tl.float32)
        of_grad += g
        of_grad_x += g * (tl.load(x + offsets, mask=mask, other=0.0).to(tl.float32) - centres)
    _store_sums(sums, of_grad, of_grad_x, part, column, channels, block_channels)


@triton.jit(do_not_specialize=["rows"])
def combine(
    p, q, a, b, centre, d, out, rows, channels, block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):  # fmt: skip
    """Write a p + b (q - centre) + d, without q only a p + d. ``out`` may be p."""
    program = tl.program_id(0)
    blocks = tl.cdiv(channels, block_channels)
    column = program % blocks
    offsets, mask = _tile(program // blocks, column, rows, channels, block_rows, block_channels)
    y = tl.load(p + offsets, mask=mask, other=0.0).to(tl.float32)
    y = y * _of_channels(a, 1.0, column, channels, block_channels)
    if q is not None:
        centres = _of_channels(centre, 0.0, column, channels, block_channels)
        u = tl.load(q + offsets, mask=mask, other=0.0).to(tl.float32) - centres
        y += u * _of_channels(b, 0.0, column, channels, block_channels)
    y += _of_channels(d, 0.0, column, channels, block_channels)
    tl.store(out + offsets, y.to(out.dtype.element_ty), mask=mask)


@triton.jit
def _fire(
    x, x_step, spikes, step, mask, scales, shifts, v, fired, c, threshold, soft,
    charge: tl.constexpr, num_steps: tl.constexpr,
):  # fmt: skip
    """Run steps from v; return the last membrane, and ``fired`` plus the number of spikes."""
    xs = ()
    for t in tl.static_range(num_steps):
        xs = xs + (tl.load(x + t * x_step, mask=mask, other=0.0),)
    for t in tl.static_range(num_steps):
        h = _charge(xs[t].to(tl.float32) * scales + shifts, v, c, charge)
        fires = h >= threshold
        v = tl.where(fires, soft * (h - threshold), h)
        fired += (fires & mask).to(tl.int32)
        s = tl.where(fires, 1.0, 0.0)
        tl.store(spikes + t * step, s.to(spikes.dtype.element_ty), mask=mask)
    return v, fired


@triton.jit
def _membrane(x, x_step, mask, scales, shifts, c, threshold, soft, charge: tl.constexpr, steps):
    """Return the membrane after the first steps."""
    v = mask.to(tl.float32) * 0.0
    for t in range(steps):
        at = x + tl.cast(t, tl.int64) * x_step
        y = tl.load(at, mask=mask, other=0.0).to(tl.float32) * scales + shifts
        h = _charge(y, v, c, charge)
        v = tl.where(h >= threshold, soft * (h - threshold), h)
    return v


@triton.jit
def _learn(
    x, x_step, grad, grad_y, step, mask, scales, shifts, centres, v, carry, total, of_grad_x, leak,
    c, threshold, soft, dh_dx, dh_dv, through, charge: tl.constexpr, surrogate: tl.constexpr,
    is_held: tl.constexpr, num_steps: tl.constexpr,
):  # fmt: skip
    """Go backward through steps that start from v; return dL/dv and the updated sums."""
    xs = ()
    gs = ()
    for t in tl.static_range(num_steps):
        xs = xs + (tl.load(x + t * x_step, mask=mask, other=0.0),)
        gs = gs + (tl.load(grad + t * step, mask=mask, other=0.0),)
    vs = ()
    hs = ()
    for t in tl.static_range(num_steps):
        h = _charge(xs[t].to(tl.float32) * scales + shifts, v, c, charge)
        vs = vs + (v,)
        hs = hs + (h,)
        v = tl.where(h >= threshold, soft * (h - threshold), h)
    for t in tl.static_range(num_steps - 1, -1, -1):
        h = hs[t]
        slope = _slope(h - threshold, surrogate)
        kept = tl.where(h < threshold, 1.0, soft)
        kept -= through * (soft * threshold + (1.0 - soft) * h) * slope
        grad_h = gs[t].to(tl.float32) * slope + carry * kept
        carry = grad_h * dh_dv
        now = tl.where(mask, grad_h * dh_dx, 0.0)
        total += now
        of_grad_x += now * (xs[t].to(tl.float32) - centres)
        if charge == "learnt":
            y = xs[t].to(tl.float32) * scales + shifts
            leak += tl.where(mask, grad_h * (y - vs[t]), 0.0)
        if not is_held:
            tl.store(grad_y + t * step, now.to(grad_y.dtype.element_ty), mask=mask)
    return carry, total, of_grad_x, leak


@triton.jit
def _charge(y, v, c, charge: tl.constexpr):
    if charge == "leaky":
        h = v + tl.div_rn(y - v, c)
    elif charge == "decay":
        h = y + c * v
    else:
        h = v + (y - v) * c
    return h


@triton.jit
def _slope(u, surrogate: tl.constexpr):
    """Return dS/dH with alpha 4, alpha 2 or gamma 2.5; 1 - tanh(y)^2 from e = exp(-2 y)."""
    if surrogate == "atan":
        y = 3.14159265358979 * u
        slope = 1.0 / (1.0 + y * y)
    elif surrogate == "sigmoid":
        e = tl.exp(-4.0 * tl.abs(u))
        slope = 4.0 * e / ((1.0 + e) * (1.0 + e))
    else:
        e = tl.exp(-5.0 * tl.abs(u))
        slope = tl.where(tl.abs(u) <= 1.0, 5.06783657 * e / ((1.0 + e) * (1.0 + e)), 0.0)
    return slope


@triton.jit
def _channels(column, channels, block_channels: tl.constexpr):
    channel = tl.cast(column, tl.int64) * block_channels + tl.arange(0, block_channels)
    return channel, channel < channels


@triton.jit
def _tile(
    row, column, rows, channels, block_rows: tl.constexpr, block_channels: tl.constexpr
):  # fmt: skip
    """Return the offsets of the elements of a tile, and the mask of those that exist."""
    channel, is_there = _channels(column, channels, block_channels)
    r = tl.cast(row, tl.int64) * block_rows + tl.arange(0, block_rows)
    return r[:, None] * channels + channel[None, :], (r < rows)[:, None] & is_there[None, :]


@triton.jit
def _of_channels(pointer, missing, column, channels, block_channels: tl.constexpr):
    """Return the numbers of a tile's channels [1, C], ``missing`` without an array."""
    if pointer is None:
        found = tl.full((1, 1), missing, tl.float32)
    else:
        channel, is_there = _channels(column, channels, block_channels)
        found = tl.load(pointer + channel, mask=is_there, other=0.0).to(tl.float32)[None, :]
    return found


@triton.jit
def _store_sums(sums, first, second, part, column, channels, block_channels: tl.constexpr):
    _store_pair(sums, tl.sum(first, 0), tl.sum(second, 0), part, column, channels, block_channels)


@triton.jit
def _store_pair(sums, first, second, part, column, channels, block_channels: tl.constexpr):
    channel, is_there = _channels(column, channels, block_channels)
    at = sums + tl.cast(part, tl.int64) * 2 * channels + channel
    tl.store(at, first, mask=is_there)
    tl.store(at + channels, second, mask=is_there)


@triton.jit
def _parts(
    i, rows, parts, part_rows, channel, channels, block_rows: tl.constexpr
):  # fmt: skip
    """Return the number of rows of some parts, 0 past the last, and the offsets of their means."""
    part = tl.cast(i, tl.int64) * block_rows + tl.arange(0, block_rows)
    n = tl.maximum(tl.minimum(rows - part * part_rows, part_rows), 0).to(tl.float32)
    offsets = part[:, None] * 2 * channels + channel[None, :]
    return n[:, None], offsets, (part < parts)[:, None] & (channel < channels)[None, :]
