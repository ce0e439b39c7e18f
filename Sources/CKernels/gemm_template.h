// The matrix product for one instruction set and one element type; gemm.c includes this file once for each.
// Given: NAME(x) a name of its own, REAL, PRODUCT (the struct), LANES (elements in a vector), ROWS (of the largest tile),
// DEPTH (rows of B in a block).
//
// A tile is ROWS x (2 vectors) of C, held in registers while it walks down a panel of B and along ROWS rows of A (a strip). In a
// block of DEPTH rows of B a strip stays in the first-level cache while PANELS panels pass by, and those stay in the second-level
// cache while all strips pass by.

#define PANEL (2 * LANES)

typedef REAL NAME(vector) __attribute__((vector_size(LANES * sizeof(REAL)), aligned(sizeof(REAL)), may_alias));

struct NAME(tile) {
  const REAL *a, *b, *bias, *add;
  REAL *c;
  size_t depth, a_stride, c_stride, add_stride;
  REAL low, high;
};

// `rows`, `vectors` and `unroll` are constants at every call: the loops over them disappear. A tile of few rows walks several
// rows of B at once, since a sum that waits for itself would leave the multipliers idle.
static inline __attribute__((always_inline)) void NAME(multiply)(
    const struct NAME(tile) *t, const int rows, const int vectors, const int unroll)
{
  typedef NAME(vector) V;
  V sum[4][ROWS][2];
#pragma clang loop unroll(full)
  for (int u = 0; u < unroll; u++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[u][r][v] = (V){0};

  const REAL *a = t->a, *b = t->b;
  const size_t a_stride = t->a_stride, depth = t->depth;
  size_t k = 0;
  for (; k + unroll <= depth; k += unroll, b += unroll * PANEL) {
#pragma clang loop unroll(full)
    for (int u = 0; u < unroll; u++) {
      V row[2];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) row[v] = *(const V *)(b + u * PANEL + v * LANES);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        const REAL factor = a[r * a_stride + k + u];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) sum[u][r][v] += factor * row[v];
      }
    }
  }
  for (; k < depth; k++, b += PANEL) {
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[0][r][v] += a[r * a_stride + k] * *(const V *)(b + v * LANES);
  }
#pragma clang loop unroll(full)
  for (int u = 1; u < unroll; u++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[0][r][v] += sum[u][r][v];

  if (t->bias)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[0][r][v] += *(const V *)(t->bias + v * LANES);
  if (t->add)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) sum[0][r][v] += *(const V *)(t->add + r * t->add_stride + v * LANES);

  const V low = t->low - (V){0}, high = t->high - (V){0};
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      V x = sum[0][r][v];
      // Where a comparison holds its lanes are all ones. No lane of a NaN compares.
      __typeof__(low > x) chosen = low > x;
      x = (V)(((__typeof__(chosen))x & ~chosen) | ((__typeof__(chosen))low & chosen));
      chosen = high < x;
      x = (V)(((__typeof__(chosen))x & ~chosen) | ((__typeof__(chosen))high & chosen));
      *(V *)(t->c + r * t->c_stride + v * LANES) = x;
    }
}

#define TILE(rows)                                                                                            \
  static void NAME(narrow_##rows)(const struct NAME(tile) *t)                                                 \
  {                                                                                                           \
    NAME(multiply)(t, rows, 1, rows <= 2 ? 4 : rows <= 4 ? 2 : 1);                                            \
  }                                                                                                           \
  static void NAME(wide_##rows)(const struct NAME(tile) *t)                                                   \
  {                                                                                                           \
    NAME(multiply)(t, rows, 2, rows == 1 ? 4 : rows == 2 ? 2 : 1);                                            \
  }
TILE(1) TILE(2) TILE(3) TILE(4)
#if ROWS > 4
TILE(5) TILE(6)
#endif
#if ROWS > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12) TILE(13) TILE(14)
#endif
#undef TILE

#define BOTH(rows) {NAME(narrow_##rows), NAME(wide_##rows)}
static void (*const NAME(tiles)[ROWS][2])(const struct NAME(tile) *) = {
    BOTH(1), BOTH(2), BOTH(3), BOTH(4),
#if ROWS > 4
    BOTH(5), BOTH(6),
#endif
#if ROWS > 6
    BOTH(7), BOTH(8), BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14),
#endif
};
#undef BOTH

// The last panel may have fewer columns than a tile writes: it is computed beside C, and what belongs there copied.
static void NAME(partial)(
    const struct NAME(tile) *t, size_t rows, size_t columns, void (*multiply)(const struct NAME(tile) *))
{
  REAL result[ROWS * PANEL], add[ROWS * PANEL] = {0}, bias[PANEL] = {0};
  struct NAME(tile) whole = *t;
  whole.c = result;
  whole.c_stride = PANEL;
  if (t->bias) {
    for (size_t j = 0; j < columns; j++) bias[j] = t->bias[j];
    whole.bias = bias;
  }
  if (t->add) {
    for (size_t i = 0; i < rows; i++)
      for (size_t j = 0; j < columns; j++) add[i * PANEL + j] = t->add[i * t->add_stride + j];
    whole.add = add;
    whole.add_stride = PANEL;
  }
  multiply(&whole);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < columns; j++) t->c[i * t->c_stride + j] = result[i * PANEL + j];
}

// Rows a multiple of a page apart fall on the same few lines of the first-level cache and drive each other out.
static inline int NAME(collides)(size_t stride) { return stride * sizeof(REAL) % 4096 == 0; }

static void NAME(gemm)(const struct PRODUCT *p)
{
  REAL strip_copy[ROWS * DEPTH];
  const size_t blocks = p->k > DEPTH ? (p->k + DEPTH - 1) / DEPTH : 1;
  const size_t depth_most = (p->k + blocks - 1) / blocks;
  const size_t strips = (p->m + ROWS - 1) / ROWS;
  const int copies = p->m > 6 && p->n > PANEL && NAME(collides)(p->a_stride);
  for (size_t block = 0; block < blocks; block++) {
    const size_t k = block * depth_most;
    const int first = block == 0, last = block + 1 == blocks;
    struct NAME(tile) t = {
        .depth = k + depth_most <= p->k ? depth_most : p->k - k,
        .c_stride = p->c_stride,
        .low = last ? p->low : -(REAL)INFINITY,
        .high = last ? p->high : (REAL)INFINITY,
        .add_stride = first ? p->add_stride : p->c_stride,
    };
    for (size_t group = 0; group < p->n; group += PANELS * PANEL) {
      const size_t group_end = p->n - group < PANELS * PANEL ? p->n : group + PANELS * PANEL;
      size_t i = 0;
      for (size_t strip = 0; strip < strips; strip++) {
        // Strips of nearly the same height: 15 rows are 8 and 7, not 14 and 1.
        const size_t rows = (p->m - i + strips - strip - 1) / (strips - strip);
        const REAL *a = p->a + i * p->a_stride + k;
        t.a = a;
        t.a_stride = p->a_stride;
        if (copies) {
          for (size_t r = 0; r < rows; r++)
            memcpy(strip_copy + r * t.depth, a + r * p->a_stride, t.depth * sizeof(REAL));
          t.a = strip_copy;
          t.a_stride = t.depth;
        }
        for (size_t j = group; j < group_end; j += PANEL) {
          const size_t columns = p->n - j < PANEL ? p->n - j : PANEL;
          void (*multiply)(const struct NAME(tile) *) = NAME(tiles)[rows - 1][columns > LANES];
          t.b = p->packed_b + j * p->k + k * PANEL;
          t.c = p->c + i * p->c_stride + j;
          t.bias = first && p->bias ? p->bias + j : 0;
          t.add = !first ? t.c : p->add ? p->add + i * p->add_stride + j : 0;
          if (columns == PANEL || columns == LANES) multiply(&t);
          else NAME(partial)(&t, rows, columns, multiply);
        }
        i += rows;
      }
    }
  }
}

static size_t NAME(packed_count)(size_t k, size_t n) { return k * ((n + PANEL - 1) / PANEL * PANEL); }

static void NAME(pack)(const REAL *b, size_t row_stride, size_t column_stride, size_t k, size_t n, REAL *packed)
{
  for (size_t j = 0; j < n; j += PANEL) {
    const size_t columns = n - j < PANEL ? n - j : PANEL;
    const REAL *from = b + j * column_stride;
    for (size_t i = 0; i < k; i++, from += row_stride, packed += PANEL) {
      if (column_stride == 1 && columns == PANEL) memcpy(packed, from, PANEL * sizeof(REAL));
      else {
        for (size_t c = 0; c < columns; c++) packed[c] = from[c * column_stride];
        for (size_t c = columns; c < PANEL; c++) packed[c] = 0;
      }
    }
  }
}

#undef PANEL
