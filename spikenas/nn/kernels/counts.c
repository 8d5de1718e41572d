/* What a measurement counts, float32: non-zeros, and where non-zeros meet in attention. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TILE 512

/* How many of n numbers are not zero. */
int64_t count_non_zero(const float *x, int64_t n, int threads) {
    int64_t count = 0;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : count)")
    for (int64_t start = 0; start < n; start += TILE) {
        int64_t end = n - start < TILE ? n : start + TILE;
        int32_t found = 0;
        for (int64_t j = start; j < end; j++) found += x[j] != 0.0f;
        count += found;
    }
    return count;
}

/* Over samples of tokens [N, D]: in how many channels a non-zero of q and one of k meet, summed over
   all pairs of tokens. */
int64_t meetings(const float *q, const float *k, int64_t samples, int64_t N, int64_t D, int threads) {
    int64_t total = 0;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : total)")
    for (int64_t b = 0; b < samples; b++) {
        const float *qb = q + b * N * D, *kb = k + b * N * D;
        for (int64_t from = 0; from < D; from += TILE) {
            int64_t n = D - from < TILE ? D - from : TILE;
            int32_t of_q[TILE] = {0}, of_k[TILE] = {0};
            for (int64_t i = 0; i < N; i++)
                for (int64_t j = 0; j < n; j++) {
                    of_q[j] += qb[i * D + from + j] != 0.0f;
                    of_k[j] += kb[i * D + from + j] != 0.0f;
                }
            for (int64_t j = 0; j < n; j++) total += (int64_t)of_q[j] * of_k[j];
        }
    }
    return total;
}

/* One bit for each of d numbers that is not zero, in words of 64. */
static inline void pack(const float *x, int64_t d, uint64_t *words) {
    for (int64_t from = 0; from < d; from += 64, words++) {
        uint8_t flags[64] = {0};
        int64_t n = d - from < 64 ? d - from : 64;
        for (int64_t j = 0; j < n; j++) flags[j] = x[from + j] != 0.0f;
        *words = 0;
        for (int64_t j = 0; j < 8; j++) { /* the product gathers the lowest bits of eight bytes */
            uint64_t bytes;
            memcpy(&bytes, flags + 8 * j, sizeof bytes);
            *words |= (bytes * 0x0102040810204080u >> 56) << (8 * j);
        }
    }
}

/* The non-zeros of v at token m, for each pair (n, m) of tokens where q_n and k_m have a non-zero in
   the same channel of a head, summed over all; without v each pair counts once. Tokens are
   [N, heads, d]. */
int64_t attended(const float *q, const float *k, const float *v, int64_t samples, int64_t N,
                 int64_t heads, int64_t d, int threads) {
    int64_t total = 0, words = (d + 63) / 64;
    _Pragma("omp parallel for num_threads(threads) reduction(+ : total)")
    for (int64_t part = 0; part < samples * heads; part++) {
        int64_t first = part / heads * N * heads * d + part % heads * d;
        uint64_t *of_q = malloc((size_t)(words * sizeof(uint64_t)));
        uint64_t *of_k = malloc((size_t)(N * words) * sizeof(uint64_t));
        int64_t *in_v = calloc((size_t)N, sizeof(int64_t));
        for (int64_t m = 0; m < N; m++) {
            const float *vm = v ? v + first + m * heads * d : NULL;
            int32_t found = vm ? 0 : 1;
            for (int64_t j = 0; vm && j < d; j++) found += vm[j] != 0.0f;
            in_v[m] = found;
            pack(k + first + m * heads * d, d, of_k + m * words);
        }
        for (int64_t n = 0; n < N; n++) {
            pack(q + first + n * heads * d, d, of_q);
            if (words == 1) {
                uint64_t one = of_q[0];
                for (int64_t m = 0; m < N; m++) total += one & of_k[m] ? in_v[m] : 0;
                continue;
            }
            for (int64_t m = 0; m < N; m++) {
                uint64_t common = 0;
                for (int64_t w = 0; w < words; w++) common |= of_q[w] & of_k[m * words + w];
                total += common ? in_v[m] : 0;
            }
        }
        free(of_q);
        free(of_k);
        free(in_v);
    }
    return total;
}
