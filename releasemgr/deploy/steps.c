/* The one table of steps, by PlanStep. */

#include "deploy/context.h"

const StepType *const deploy_steps[_STEP_MAX] = {
                [STEP_AFTER_FAILURE] = &step_after_failure,
                [STEP_FETCH] = &step_fetch,
                [STEP_CONTRACT] = &step_contract,
                [STEP_MIGRATE] = &step_migrate,
                [STEP_ANCHOR] = &step_anchor,
                [STEP_BEFORE_SWITCH] = &step_before_switch,
                [STEP_SWITCH] = &step_switch,
                [STEP_RESTART] = &step_restart,
                [STEP_RELOAD] = &step_reload,
                [STEP_BESIDE] = &step_beside,
                [STEP_PROVE] = &step_prove,
                [STEP_DRAIN] = &step_drain,
                [STEP_AFTER_SWITCH] = &step_after_switch,
                [STEP_SOAK] = &step_soak,
                [STEP_FINISH] = &step_finish,
                [STEP_AFTER_SUCCESS] = &step_after_success,
};
