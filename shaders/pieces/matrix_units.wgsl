// The device's matrices: what they multiply is f16, or f32 where WHOLE; sums are f32. A new one is Sums(): not every driver
// makes it zero without.

const UNIT_M = 8u;   // given: rows, left and sums
const UNIT_N = 8u;   // given: columns, right and sums
const UNIT_K = 8u;   // given: columns of the left, rows of the right
const LANES = 8u;    // given: the size of the subgroup that holds them

alias Operand = f16;    // given f32 where WHOLE
alias Vector = vec4h;   // given vec4f where WHOLE: four of them, as they pass through workgroup memory
alias Left = subgroup_matrix_left<Operand, UNIT_K, UNIT_M>;
alias Right = subgroup_matrix_right<Operand, UNIT_N, UNIT_K>;
alias Sums = subgroup_matrix_result<f32, UNIT_N, UNIT_M>;
