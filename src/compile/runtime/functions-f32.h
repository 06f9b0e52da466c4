/* One pixel of channel c, 0 to 255, normalised into the arena. */
static void easting_put(uint32_t c, uint32_t i, uint8_t pixel) {
  easting_memory.arena[easting_image[c] + i] = (float)pixel * easting_scale[c] + easting_shift[c];
}

const float* easting_run_normalized(const float* image) {
  uint32_t c, i;
  for (c = 0; c < EASTING_CHANNELS; c++)
    for (i = 0; i < EASTING_HEIGHT * EASTING_WIDTH; i++) easting_memory.arena[easting_image[c] + i] = *image++;
  easting_walk(&easting_model);
  return easting_memory.logits;
}

/* Compilers may order and fuse operations as they like, so f32 is right within 1 / 10,000 of the largest logit. */
static int easting_agrees(const float* logits, const float* wanted) {
  float largest = 0.0f;
  uint32_t i;
  for (i = 0; i < EASTING_CLASSES; i++) {
    const float size = wanted[i] < 0.0f ? -wanted[i] : wanted[i];
    if (size > largest) largest = size;
  }
  for (i = 0; i < EASTING_CLASSES; i++) {
    const float error = logits[i] - wanted[i];
    if (!(error <= 1e-4f * largest && -error <= 1e-4f * largest)) return 0;
  }
  return 1;
}
