/* Runs a model on a bare Cortex-M4 and tells what it measured, line by line, by ARM's semihosting. */
#include <stddef.h>
#define MODEL_IMPLEMENTATION
#include "model.h"

extern uint8_t guard_below[256], guard_above[256], model_begin[], model_end[], stack_limit[], stack_top[];

#define SYSTICK ((volatile uint32_t*)0xe000e010)
#define PAINT 0xa5u

static uint32_t semihosting(uint32_t operation, const void* argument) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void* r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void say(const char* what, uint32_t value) {
  char digits[12];
  char* at = digits + sizeof digits;
  *--at = 0;
  *--at = '\n';
  do *--at = (char)('0' + value % 10u);
  while ((value /= 10u) > 0);
  semihosting(4, what); /* SYS_WRITE0 */
  semihosting(4, at);
}

static void leave(uint32_t status) {
  const uint32_t arguments[2] = {0x20026, status}; /* ADP_Stopped_ApplicationExit */
  semihosting(0x20, arguments);                    /* SYS_EXIT_EXTENDED */
}

static uint8_t pixels[MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS];

/* Ticks of 40 instructions that one run takes (25 MHz, with 1 ns for an instruction). */
static uint32_t __attribute__((noinline)) timed_run(void) {
  uint32_t begin;
  SYSTICK[1] = 0xffffff;
  SYSTICK[2] = 0;
  SYSTICK[0] = 5; /* on, processor clock */
  begin = SYSTICK[2];
  model_run(pixels);
  return (begin - SYSTICK[2]) & 0xffffff;
}

static uint32_t painted(const uint8_t* from, const uint8_t* to) {
  uint32_t count = 0;
  while (from + count < to && from[count] == PAINT) count++;
  return count;
}

static void paint(uint8_t* from, uint8_t* to) {
  while (from < to) *from++ = PAINT;
}

int main(void) {
  uint8_t* const here = (uint8_t*)__builtin_frame_address(0) - 64;
  uint32_t i, x = 0, ticks;
  paint(guard_below, guard_below + sizeof guard_below);
  paint(guard_above, guard_above + sizeof guard_above);
  for (i = 0; i < sizeof pixels; i++) {
    x = 1664525u * x + 1013904223u;
    pixels[i] = (uint8_t)(x >> 24);
  }
  ticks = timed_run();
  say("again ", timed_run() - ticks);
  paint(stack_limit, here);
  model_run(pixels);
  say("stack ", (uint32_t)(here - stack_limit) - painted(stack_limit, here));
  say("ticks ", ticks);
  for (i = 0; i < MODEL_CLASSES; i++) {
    union {
      uint32_t bits;
      __typeof__(model_memory.logits[0]) logit;
    } result;
    result.logit = model_memory.logits[i];
    say("logit ", result.bits);
  }
  say("test ", (uint32_t)model_self_test());
  say("memory ", (uint32_t)(model_end - model_begin));
  say("guards ", painted(guard_below, guard_below + sizeof guard_below) + painted(guard_above, guard_above + sizeof guard_above));
  leave(0);
  return 0;
}

void reset(void) {
  *(volatile uint32_t*)0xe000ed88 |= 0xf00000; /* CPACR: the FPU on */
  __asm__ volatile("dsb\nisb");
  main();
}

static void fault(void) { leave(1); }

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))stack_top, reset, fault, fault, fault, fault, fault,
};
