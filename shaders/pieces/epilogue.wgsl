// What becomes of a product's sums before they are stored.
// The kernel declares Value, f32 or vec4f, and the array extra, which holds as many numbers an element.

override EPILOGUE: u32 = 0u;        // one of these, as src/model/product.ts numbers them; or 0, nothing
const RESIDUAL = 1u;                // + extra
const RELU = 2u;                    // max(sum, 0)
const RELU_SQUARED = 3u;            // max(sum, 0)^2
const RELU_BACKWARD = 4u;           // * relu'(x), where extra = relu(x)
const RELU_SQUARED_BACKWARD = 5u;   // * 2 relu(x), where extra = relu(x)^2

fn finish(sum: Value, at: u32) -> Value {
  if (EPILOGUE == RESIDUAL) { return sum + Value(extra[at]); }
  if (EPILOGUE == RELU) { return max(sum, Value()); }
  if (EPILOGUE == RELU_SQUARED) { return max(sum, Value()) * max(sum, Value()); }
  if (EPILOGUE == RELU_BACKWARD) { return select(Value(), sum, Value(extra[at]) > Value()); }
  if (EPILOGUE == RELU_SQUARED_BACKWARD) { return sum * 2.0 * sqrt(Value(extra[at])); }
  return sum;
}
