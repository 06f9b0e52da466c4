#define EASTING_BLOCK 256u /* sums that are worked on at a time, as whole lines, and one line at least */

/* A program computes its logits in one walk from its first step to its last; src/compile/program writes it. */

typedef struct {
  uint32_t op, rows, height, width, input_height, input_width, stride;
} easting_step;

/* Where an input channel is in the arena; `here` is 0 where no step made it. */
typedef struct {
  uint32_t at;
  uint8_t zero, here;
} easting_input;

/* One weight of the row at work, and the part of the output for which its input has a pixel. */
typedef struct {
  const easting_value* input; /* the pixel for the first of that part */
  easting_weight weight;
  uint8_t zero;
  uint16_t top, bottom, left, right; /* without bottom and right */
} easting_tap;

typedef struct {
  easting_tables tables;
  const easting_weight* weights;
  const uint16_t* bands; /* layouts: count of bands of rows, their ends, count of bands of columns, their ends */
  const easting_number* numbers;
  easting_value* arena;
  easting_sum* sums; /* of some lines of the row at work */
  easting_sum* biases;
  easting_input* inputs;
  easting_tap* taps;
  easting_sum* logits;
} easting_program;

static easting_step easting_read_step(easting_reader* reader) {
  easting_step step;
  easting_read_codes(reader);
  step.op = easting_natural(reader);
  step.rows = easting_natural(reader);
  step.height = easting_natural(reader);
  step.width = easting_natural(reader);
  step.input_height = easting_natural(reader);
  step.input_width = easting_natural(reader);
  step.stride = easting_natural(reader);
  return step;
}

static void easting_read_inputs(const easting_program* program, easting_reader* reader, uint32_t inputs, uint32_t live) {
  uint32_t i, channel = 0;
  for (i = 0; i < inputs; i++) program->inputs[i].here = 0;
  for (i = 0; i < live; i++, channel++) {
    easting_plane plane;
    easting_input* input;
    channel += (uint32_t)easting_next(reader, EASTING_INPUT_GAP);
    plane = easting_input_plane(reader, EASTING_INPUT);
    input = &program->inputs[channel];
    input->here = 1;
    input->at = plane.at;
    input->zero = plane.zero;
  }
}

/* The weights of a tensor, output by output, of which each is a list of positions. */
typedef struct {
  easting_positions positions;
  const easting_weight* weight;
  uint32_t left, position, inputs, live, box_height, box_width; /* live: inputs that are there */
  int32_t top, first;
} easting_tensor;

static void easting_next_position(easting_tensor* tensor, uint32_t step) {
  if (tensor->left > 0) tensor->position += step + easting_gap(&tensor->positions);
}

static void easting_read_tensor(const easting_program* program, easting_source* source, easting_tensor* tensor) {
  easting_reader* reader = &source->reader;
  const uint32_t first = easting_natural(reader);
  tensor->weight = program->weights + first;
  tensor->left = easting_natural(reader);
  tensor->inputs = easting_natural(reader);
  tensor->top = easting_unzigzag(easting_natural(reader));
  tensor->first = easting_unzigzag(easting_natural(reader));
  tensor->box_height = easting_natural(reader);
  tensor->box_width = easting_natural(reader);
  tensor->live = easting_natural(reader);
  easting_read_style(source);
  easting_open_positions(&tensor->positions, reader, first);
  tensor->position = 0;
  easting_next_position(tensor, 0);
}

/* From the first x with 0 <= x * stride + d < size up to, without, the last, below `limit`. */
static void easting_clip(int32_t stride, int32_t d, int32_t size, int32_t limit, uint16_t* from, uint16_t* to) {
  const int32_t first = d < 0 ? (stride - 1 - d) / stride : 0, last = size > d ? (size - d + stride - 1) / stride : 0;
  *to = (uint16_t)(last < limit ? last : limit);
  *from = (uint16_t)(first < *to ? first : *to);
}

/* The weights of one output that lie on inputs which are there; how many. */
static uint32_t easting_read_taps(const easting_program* program, easting_tensor* tensor, const easting_step* step,
                                  uint32_t channel, const easting_row* row) {
  const uint32_t box = tensor->box_height * tensor->box_width;
  uint32_t count = 0;
  while (tensor->left > 0) {
    const uint32_t pair = tensor->position / box, tap = tensor->position % box, output = pair / tensor->inputs;
    const easting_input* input = &program->inputs[pair % tensor->inputs];
    if (output > channel) break;
    if (output == channel && input->here) {
      easting_tap* entry = &program->taps[count];
      const int32_t dy = tensor->top + (int32_t)(tap / tensor->box_width);
      const int32_t dx = tensor->first + (int32_t)(tap % tensor->box_width);
      const int32_t stride = (int32_t)step->stride, width = (int32_t)step->input_width;
      easting_clip(stride, dy, (int32_t)step->input_height, (int32_t)step->height, &entry->top, &entry->bottom);
      easting_clip(stride, dx, width, (int32_t)step->width, &entry->left, &entry->right);
      entry->weight = easting_scaled(row, *tensor->weight);
      entry->zero = input->zero;
      if (entry->top < entry->bottom && entry->left < entry->right) {
        entry->input = program->arena + input->at + (entry->top * stride + dy) * width + entry->left * stride + dx;
        count++;
      }
    }
    tensor->weight++;
    tensor->left--;
    easting_next_position(tensor, 1);
  }
  return count;
}

/* The bias of line y, which is one number, or one for each band of rows and columns. */
static void easting_fill(easting_sum* sums, uint32_t width, uint32_t y, const uint16_t* bands, const easting_sum* bias) {
  uint32_t band = 0, x = 0;
  if (bands == NULL) {
    for (x = 0; x < width; x++) sums[x] = *bias;
    return;
  }
  while (y >= bands[1u + band]) band++;
  bands += 1u + bands[0];
  bias += band * bands[0];
  for (band = 0; band < bands[0]; band++)
    for (; x < bands[1u + band]; x++) sums[x] = bias[band];
}

/* Adds the taps to the sums of lines y up to, without, `end`. */
static void easting_add_taps(const easting_program* program, const easting_step* step, uint32_t taps, uint32_t y,
                             uint32_t end) {
  const uint32_t pitch = step->stride * step->input_width;
  uint32_t i;
  for (i = 0; i < taps; i++) {
    const easting_tap* tap = &program->taps[i];
    const uint32_t top = tap->top > y ? tap->top : y, bottom = tap->bottom < end ? tap->bottom : end;
    uint32_t count = (uint32_t)tap->right - tap->left, lines = bottom > top ? bottom - top : 0;
    const easting_value* input = tap->input + (lines > 0 ? (top - tap->top) * pitch : 0);
    easting_sum* sums = program->sums + (lines > 0 ? (top - y) * step->width + tap->left : 0);
    if (count == pitch) { /* whole lines, side by side in input and output */
      count *= lines;
      lines = lines > 0;
    }
    for (; lines > 0; lines--, input += pitch, sums += step->width)
      easting_add(sums, input, count, step->stride, tap->weight, tap->zero);
  }
}

static void easting_convolution(const easting_program* program, easting_source* source, const easting_step* step,
                                int last) {
  easting_reader* reader = &source->reader;
  const uint32_t area = step->height * step->width;
  const uint32_t lines = step->width < EASTING_BLOCK ? EASTING_BLOCK / step->width : 1u;
  easting_tensor tensor;
  uint32_t row, channel, y, end;
  easting_read_tensor(program, source, &tensor);
  easting_read_inputs(program, reader, tensor.inputs, tensor.live);
  for (row = 0, channel = 0; row < step->rows; row++, channel++) {
    easting_plane plane;
    easting_value* out;
    easting_row numbers;
    easting_reading residual;
    const uint16_t* bands = NULL;
    uint32_t taps;
    channel += (uint32_t)easting_next(reader, EASTING_CHANNEL_GAP);
    plane = easting_output_plane(reader, area);
    out = program->arena + plane.at;
    if (easting_next(reader, EASTING_BORDERED)) bands = program->bands + easting_next(reader, EASTING_LAYOUT);
    easting_read_row(source, bands == NULL ? 1u : (uint32_t)bands[0] * bands[1u + bands[0]], program->biases, plane.zero,
                     &numbers);
    residual.plane = NULL;
    if (easting_next(reader, EASTING_HAS_RESIDUAL))
      easting_read_reading(source, &numbers, program->arena, &residual);
    taps = easting_read_taps(program, &tensor, step, channel, &numbers);
    for (y = 0; y < step->height; y = end) {
      const uint32_t first = y * step->width;
      uint32_t line, count;
      end = y + lines < step->height ? y + lines : step->height;
      count = (end - y) * step->width;
      for (line = y; line < end; line++)
        easting_fill(program->sums + (line - y) * step->width, step->width, line, bands, numbers.bias);
      if (residual.plane != NULL) easting_add_reading(program->sums, &residual, first, count);
      easting_add_taps(program, step, taps, y, end);
      if (last)
        program->logits[row] = program->sums[0];
      else
        easting_store(program->sums, out + first, count, &numbers);
    }
  }
}

static easting_value easting_largest(const easting_value* plane, const easting_step* step, uint32_t kernel,
                                     uint32_t padding, uint32_t y, uint32_t x) {
  const uint32_t bottom = y * step->stride + kernel, right = x * step->stride + kernel;
  const uint32_t top = y * step->stride > padding ? y * step->stride - padding : 0;
  const uint32_t left = x * step->stride > padding ? x * step->stride - padding : 0;
  easting_value largest = plane[top * step->input_width + left];
  uint32_t row, column;
  for (row = top; row + padding < bottom && row < step->input_height; row++)
    for (column = left; column + padding < right && column < step->input_width; column++)
      if (plane[row * step->input_width + column] > largest) largest = plane[row * step->input_width + column];
  return largest;
}

static void easting_max_pool(const easting_program* program, easting_reader* reader, const easting_step* step) {
  const uint32_t kernel = easting_natural(reader), padding = easting_natural(reader);
  uint32_t row, x, y;
  for (row = 0; row < step->rows; row++) {
    easting_value* out = program->arena + easting_output_plane(reader, step->height * step->width).at;
    const easting_value* plane = program->arena + easting_input_plane(reader, EASTING_SOURCE).at;
    for (y = 0; y < step->height; y++)
      for (x = 0; x < step->width; x++) *out++ = easting_largest(plane, step, kernel, padding, y, x);
  }
}

static void easting_average_pool(const easting_program* program, easting_source* source, const easting_step* step) {
  const uint32_t area = step->input_height * step->input_width;
  uint32_t row, i;
  easting_read_style(source);
  for (row = 0; row < step->rows; row++) {
    const easting_plane plane = easting_output_plane(&source->reader, 1);
    easting_row numbers;
    easting_reading reading;
    easting_sum sum = 0;
    easting_read_row(source, 0, program->biases, plane.zero, &numbers);
    easting_read_reading(source, &numbers, program->arena, &reading);
    for (i = 0; i < area; i++) sum += easting_read(&reading, i);
    easting_store_mean(sum, area, program->arena + plane.at, &numbers);
  }
}

/* From the image in the arena to the logits. */
static void easting_walk(const easting_program* program) {
  easting_source source;
  uint32_t steps;
  easting_open_source(&source, &program->tables, program->numbers);
  for (steps = easting_natural(&source.reader); steps > 0; steps--) {
    const easting_step step = easting_read_step(&source.reader);
    if (step.op == 0)
      easting_convolution(program, &source, &step, steps == 1);
    else if (step.op == 1)
      easting_max_pool(program, &source.reader, &step);
    else
      easting_average_pool(program, &source, &step);
  }
}
