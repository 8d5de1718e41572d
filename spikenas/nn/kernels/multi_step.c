/* A multi-step neuron with hard reset, float32: forward, and backward with the membrane recomputed.

   x, s, g are [T, M]: T steps of M membranes. At each step, v_0 = 0,
       h = CHARGE(x, v);  s = h >= threshold;  v = s ? 0 : h
       dL/dh = dL/ds f'(h - threshold) + dL/dv ((s ? 0 : 1) - r h f'),  r = 0 for a detached reset
   Blocks of membranes stay in the cache while time runs over them, so each array is read once.
   Sums are not contracted (-ffp-contract=off), so for finite currents spikes equal those of the
   definition. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 256
#define MAX_STEPS 64

/* exp(x) for x <= 0, to 2 units in the last place (Cephes); without a branch, so it vectorises. */
static inline float exp_negative(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504088896341f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* Slopes of the surrogates; alpha 4, alpha 2, gamma 2.5 as in spikenas.nn.surrogate. */
static inline float sigmoid(float u) {
    float e = exp_negative(-4.0f * fabsf(u));
    return 4.0f * e / ((1.0f + e) * (1.0f + e));
}
static inline float atan_(float u) {
    float y = 3.14159265358979f * u;
    return 1.0f / (1.0f + y * y);
}
static inline float dspike(float u) {
    float e = exp_negative(-5.0f * fabsf(u)); /* 1 - tanh(2.5 u)^2 = 4 e / (1 + e)^2 */
    float slope = 1.26695914f * 4.0f * e / ((1.0f + e) * (1.0f + e)); /* 2.5 / (2 tanh 2.5) */
    return fabsf(u) <= 1.0f ? slope : 0.0f;
}

#define LEAKY(x, v, c) ((v) + ((x) - (v)) / (c))     /* c = tau */
#define INTEGRATE(x, v, c) ((v) + (x))
#define DECAY(x, v, c) ((x) + (c) * (v))             /* c = what is kept */
#define LEARNT(x, v, c) ((v) + ((x) - (v)) * (c))    /* c = 1 / tau */

#define FORWARD(NAME, CHARGE)                                                                     \
    void forward_##NAME(const float *restrict x, float *restrict s, int64_t T, int64_t M,      \
                        float c, float threshold, int threads) {                                  \
        _Pragma("omp parallel for num_threads(threads)")                                          \
        for (int64_t start = 0; start < M; start += BLOCK) {                                      \
            int64_t n = M - start < BLOCK ? M - start : BLOCK;                                    \
            float v[BLOCK] = {0};                                                                 \
            for (int64_t t = 0; t < T; t++) {                                                     \
                const float *restrict xt = x + t * M + start;                                     \
                float *restrict st = s + t * M + start;                                           \
                for (int64_t j = 0; j < n; j++) {                                                 \
                    float h = CHARGE(xt[j], v[j], c);                                             \
                    int fires = h >= threshold;                                                   \
                    st[j] = fires ? 1.0f : 0.0f;                                                  \
                    v[j] = fires ? 0.0f : h;                                                      \
                }                                                                                 \
            }                                                                                     \
        }                                                                                         \
    }

#define BACKWARD(NAME, CHARGE, SLOPE)                                                             \
    double backward_##NAME##_##SLOPE(const float *restrict x, const float *restrict g,            \
                                     float *restrict gx, int64_t T, int64_t M, float c,           \
                                     float threshold, float dh_dx, float dh_dv, int through_reset,\
                                     int threads) {                                               \
        double g_leak = 0.0;                                                                      \
        float r = through_reset ? 1.0f : 0.0f;                                                    \
        _Pragma("omp parallel for num_threads(threads) reduction(+ : g_leak)")                    \
        for (int64_t start = 0; start < M; start += BLOCK) {                                      \
            int64_t n = M - start < BLOCK ? M - start : BLOCK;                                    \
            float h[MAX_STEPS][BLOCK], carry[BLOCK] = {0}, zero[BLOCK] = {0}, leak[BLOCK] = {0};  \
            for (int64_t t = 0; t < T; t++) {                                                     \
                const float *restrict xt = x + t * M + start;                                     \
                const float *before = t ? h[t - 1] : zero;                                        \
                for (int64_t j = 0; j < n; j++) {                                                 \
                    float v = before[j] >= threshold ? 0.0f : before[j];                          \
                    h[t][j] = CHARGE(xt[j], v, c);                                                \
                }                                                                                 \
            }                                                                                     \
            for (int64_t t = T - 1; t >= 0; t--) {                                                \
                const float *restrict xt = x + t * M + start;                                     \
                const float *restrict gt = g + t * M + start;                                     \
                float *restrict gxt = gx + t * M + start;                                         \
                const float *before = t ? h[t - 1] : zero;                                        \
                for (int64_t j = 0; j < n; j++) {                                                 \
                    float slope = SLOPE(h[t][j] - threshold);                                     \
                    float kept = (h[t][j] >= threshold ? 0.0f : 1.0f) - r * h[t][j] * slope;      \
                    float gh = gt[j] * slope + carry[j] * kept;                                   \
                    float v = before[j] >= threshold ? 0.0f : before[j];                          \
                    leak[j] += gh * (xt[j] - v);                                                  \
                    carry[j] = gh * dh_dv;                                                        \
                    gxt[j] = gh * dh_dx;                                                          \
                }                                                                                 \
            }                                                                                     \
            for (int64_t j = 0; j < n; j++) g_leak += leak[j];                                    \
        }                                                                                         \
        return g_leak;                                                                            \
    }

#define NEURON(NAME, CHARGE)                                                                      \
    FORWARD(NAME, CHARGE)                                                                         \
    BACKWARD(NAME, CHARGE, sigmoid)                                                               \
    BACKWARD(NAME, CHARGE, atan_)                                                                 \
    BACKWARD(NAME, CHARGE, dspike)

NEURON(leaky, LEAKY)
NEURON(integrate, INTEGRATE)
NEURON(decay, DECAY)
NEURON(learnt, LEARNT)
