const easting_sum* easting_run(const uint8_t* pixels) {
  uint32_t c, i;
  for (i = 0; i < EASTING_HEIGHT * EASTING_WIDTH; i++)
    for (c = 0; c < EASTING_CHANNELS; c++) easting_put(c, i, *pixels++);
  easting_walk(&easting_model);
  return easting_memory.logits;
}

/* Image v: pixels [h][w][c] are the high bytes of x = 1664525 x + 1013904223 (mod 2^32), from x = v on. */
int easting_self_test(void) {
  uint32_t v, c, i;
  for (v = 0; v < EASTING_TEST_IMAGES; v++) {
    uint32_t x = v;
    for (i = 0; i < EASTING_HEIGHT * EASTING_WIDTH; i++)
      for (c = 0; c < EASTING_CHANNELS; c++) {
        x = 1664525u * x + 1013904223u;
        easting_put(c, i, (uint8_t)(x >> 24));
      }
    easting_walk(&easting_model);
    if (!easting_agrees(easting_memory.logits, easting_wanted[v])) return (int)v + 1;
  }
  return 0;
}
