"""Every mistake that a file can make has its exact message, with line and column; lists of known words are cut off."""

import re
from pathlib import Path

import pytest

from paribus.__main__ import main

TASK = "task: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n"

# name: what stands below the task (after a name), and what is said: place, key, message.
MISTAKES = {
    "a range upside down": (
        "tuning: {space: {training.optimizer.lr: {low: 0.1, high: 0.01}}}\n",
        "3:41  tuning.space.'training.optimizer.lr': got low 0.1 and high 0.01, needs low below high",
    ),
    "a logarithm of zero": (
        "tuning: {space: {training.optimizer.lr: {low: 0, high: 0.01, log: true}}}\n",
        "3:41  tuning.space.'training.optimizer.lr': got low 0 with log: true, needs low above 0, or log: false",
    ),
    "one choice": (
        "tuning: {space: {training.optimizer.lr: {choices: [0.1]}}}\n",
        "3:41  tuning.space.'training.optimizer.lr': got one choice, needs at least two; a single value is no search: write it where it belongs, or in an arm",
    ),
    "half a range": (
        "tuning: {space: {training.optimizer.lr: {low: 0.1}}}\n",
        "3:41  tuning.space.'training.optimizer.lr': lacks high; needs low and high, or choices",
    ),
    "an unknown key in a space": (
        "tuning: {space: {training.optimizer.lrr: {low: 0.001, high: 0.01}}}\n",
        "3:18  tuning.space.'training.optimizer.lrr': unknown key; did you mean 'lr'?",
    ),
    "an unknown key in a range": (
        "tuning: {space: {training.optimizer.lr: {low: 0.001, high: 0.01, lag: true}}}\n",
        "3:66  tuning.space.'training.optimizer.lr'.lag: unknown key; did you mean 'log'?",
    ),
    "a tuned key that an arm sets": (
        "arms: {one: {network.mixer.heads: 1}}\ntuning: {space: {network.mixer.heads: {choices: [1, 2]}}}\n",
        "4:18  tuning.space.'network.mixer.heads': is set by the arm 'one' (`network.mixer.heads`), so that arm would not be what it is called; tune another key, or take it out of the arm",
    ),
    "a tuned key that an arm's part does not have": (
        "arms: {gru: {network.mixer: gru}}\ntuning: {space: {network.mixer.heads: {choices: [1, 2]}}}\n",
        "4:18  tuning.space.'network.mixer.heads': is no setting of the arm 'gru': its gru has no field 'heads'; needs a key that every arm has, or part_ranges: true, or scope: experiment",
    ),
    "a tuned value that an arm refuses": (
        "arms: {narrow: {network.width: 32}}\ntuning: {space: {network.mixer.heads: {choices: [4, 64]}}}\n",
        "4:53  tuning.space.'network.mixer.heads'.choices[1]: for the arm 'narrow': got 64, needs a divisor of the width 32 (1, 2, 4, 8, 16, 32) or a `head_width`",
    ),
    "no trials": (
        "tuning: {trials: 0, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:18  tuning.trials: got 0, needs a whole number above 0",
    ),
    "tuning on test": (
        "tuning: {split: test, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:17  tuning.split: got 'test', but a search may look at validation only, since the comparison is made on test; leave this key out",
    ),
    "a pruner of single runs with several seeds": (
        "tuning: {pruner: median, seeds: 2, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:18  tuning.pruner: got 'median', which compares single runs, with seeds: 2; needs seeds: 1, or wilcoxon or none",
    ),
    "a pruner of seeds with one seed": (
        "tuning: {pruner: wilcoxon, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:18  tuning.pruner: got 'wilcoxon', which compares seed by seed, with seeds: 1; needs seeds of at least 2, or median",
    ),
    "tuned seeds": (
        "tuning: {space: {seeds: {low: 1, high: 3}}}\n",
        "3:18  tuning.space.seeds: cannot be tuned: a lucky seed is no better setting; tune network, optimizer or schedule instead",
    ),
    "a tuned budget": (
        "tuning: {space: {training.steps: {low: 1, high: 3}}}\n",
        "3:18  tuning.space.'training.steps': cannot be tuned: it is the budget, which is the same for all",
    ),
    "a tuned batch while steps count": (
        "tuning: {space: {training.batch.examples: {low: 8, high: 16}}}\n",
        "3:18  tuning.space.'training.batch.examples': cannot be tuned while the budget counts steps: a larger batch would see more data; needs a budget in tokens",
    ),
    "a tuned task": (
        "tuning: {space: {task.letters: {low: 2, high: 4}}}\n",
        "3:18  tuning.space.'task.letters': cannot be tuned: `task` is the same for all; tune network, optimizer or schedule instead",
    ),
    "a tuned selection": (
        "tuning: {space: {training.select: {choices: [best, last]}}}\n",
        "3:18  tuning.space.'training.select': cannot be tuned: it says which result counts; tune network, optimizer or schedule instead",
    ),
    "a search by the clock": (
        "tuning: {time_limit: 2h, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:22  tuning.time_limit: got 2h, which gives slow arms fewer trials; needs `unequal: true` beside it (the report then says so), or `trials` alone",
    ),
    "a grid without end": (
        "tuning: {sampler: grid, space: {training.optimizer.lr: {low: 0.001, high: 0.01}}}\n",
        "3:56  tuning.space.'training.optimizer.lr': has no end of values; a grid needs `step` or `choices`",
    ),
    "a grid cut short": (
        "tuning: {sampler: grid, trials: 2, space: {network.depth: {low: 1, high: 3}}}\n",
        "3:33  tuning.trials: got 2, but the grid of baseline has 3 points; leave `trials` out",
    ),
    "a search of nothing": (
        "tuning: {trials: 3}\n",
        "3:9  tuning.space: has no key; needs at least one, such as training.optimizer.lr",
    ),
    "an objective that is no metric": (
        "tuning: {scope: experiment, objectives: [exactmatch], space: {network.depth: {low: 1, high: 3}}}\n",
        "3:42  tuning.objectives[0]: no objective is called 'exactmatch'; did you mean 'exact_match'?",
    ),
    "pruning by several objectives": (
        "tuning: {scope: experiment, objectives: [metric, parameters], pruner: median, space: {network.depth: {low: 1, high: 3}}}\n",
        "3:71  tuning.pruner: got 'median' with several objectives; needs none",
    ),
    "two generated arms of one name": (
        (
            "arms: {bare: {network.position: none}}\n"
            "vary: [{one_at_a_time: {network.depth: [1]}}, {one_at_a_time: {network.depth: [1]}, from: bare}]\n"
        ),
        "4:63  vary[1].one_at_a_time: makes a second, different arm called 'depth=1'; write one of them under `arms` with a name of its own",
    ),
    "a width without end": (
        "network: {width: 99999999999999999999999}\n",
        "3:18  network.width: got 99999999999999999999999, needs a whole number of at most 65536",
    ),
    "a depth without end": (
        "network: {depth: 999999999}\n",
        "3:18  network.depth: got 999999999, needs a whole number of at most 1000",
    ),
    "a number beyond all numbers": (
        "training: {optimizer: {lr: 1e400}}\n",
        "3:28  training.optimizer.lr: got .inf, needs a finite number",
    ),
    "more arms than anybody trains": (
        f"vary: [{{grid: {{network.width: {[*range(1, 150)]}, network.depth: {[*range(1, 150)]}}}}}]\n",
        "3:15  vary[0].grid: makes 22,201 arms, more than the 10,000 that an experiment may have",
    ),
    "a rotary position without attention": (
        "network: {mixer: gru, position: rotary}\n",
        "3:33  network.position: got 'rotary', which acts in self-attention, but no layer here attends; needs none, sinusoidal or learned",
    ),
    "an arm that keeps a rotary position without attention": (
        "network: {position: rotary}\narms: {recurrent: {network.mixer: gru}}\n",
        "4:35  arms.recurrent.'network.mixer': does not go with `network.position` of the baseline: got 'rotary', which acts in self-attention, but no layer here attends; needs none, sinusoidal or learned",
    ),
    "unknown key at the top": ("sedes: 3\n", "3:1  sedes: unknown key; did you mean 'seeds'?"),
    "unknown key in a group": ("training: {stesp: 3}\n", "3:12  training.stesp: unknown key; did you mean 'steps'?"),
    "unknown key in a part": (
        "network: {mixer: {kind: attention, head: 2}}\n",
        "3:36  network.mixer.head: unknown key; did you mean 'heads'?",
    ),
    "unknown key in a part in a part": (
        "network:\n  mixer:\n    score: {kind: additive, hiden: 2}\n",
        "5:29  network.mixer.score.hiden: unknown key; did you mean 'hidden'?",
    ),
    "unknown key under a side": (
        "network: {encoder: {nrom: batch}}\n",
        "3:27  network.encoder.nrom: unknown key; did you mean 'norm'?",
    ),
    "unknown key under a layer": (
        "network: {layers: {decoder: {0: {heads: 2}}}}\n",
        "3:41  network.layers.decoder.0.heads: unknown key.",
    ),
    "unknown key in an arm": (
        "arms: {wide: {network.widht: 8}}\n",
        "3:15  arms.wide.'network.widht': unknown key; did you mean 'width'?",
    ),
    "unknown start of a key in an arm": (
        "arms: {wide: {netwrok.width: 8}}\n",
        "3:15  arms.wide.'netwrok.width': unknown key; did you mean 'network'?",
    ),
    "a key twice": ("seeds: 3\nseeds: 4\n", "4:1  seeds: this key stands here twice; it was set in line 3 already"),
    "a key twice deep down": (
        "network: {mixer: {heads: 2, heads: 4}}\n",
        "3:29  network.mixer.heads: this key stands here twice; it was set in line 3 already",
    ),
    "an arm twice": (
        "arms:\n  one: {network.depth: 1}\n  one: {network.depth: 3}\n",
        "5:3  arms.one: this key stands here twice; it was set in line 4 already",
    ),
    "text for a number": ("network: {width: wide}\n", "3:18  network.width: got 'wide', needs a whole number"),
    "a number in quotes": ("network: {depth: '2'}\n", "3:18  network.depth: got '2', needs a whole number"),
    "a boolean for a number": ("network: {depth: true}\n", "3:18  network.depth: got true, needs a whole number"),
    "a boolean for a rate": ("network: {dropout: false}\n", "3:20  network.dropout: got false, needs a number"),
    "a number for a boolean": ("network: {residual: 1}\n", "3:21  network.residual: got 1, needs true or false"),
    "a fraction for a count": ("network: {depth: 1.5}\n", "3:18  network.depth: got 1.5, needs a whole number"),
    "not a number": (
        "training: {optimizer: {lr: .nan}}\n",
        "3:28  training.optimizer.lr: got .nan, needs a finite number",
    ),
    "infinity": ("training: {optimizer: {lr: .inf}}\n", "3:28  training.optimizer.lr: got .inf, needs a finite number"),
    "nothing for a number": ("network: {width: null}\n", "3:18  network.width: got null, needs a whole number"),
    "a list for a mapping": ("training: [1, 2]\n", "3:11  training: got [1, 2], needs a mapping"),
    "a mapping for a number": ("network: {width: {a: 1}}\n", "3:18  network.width: got {a: 1}, needs a whole number"),
    "too small": ("network: {mixer: {heads: 0}}\n", "3:26  network.mixer.heads: got 0, needs a whole number above 0"),
    "too large": ("network: {dropout: 1.0}\n", "3:20  network.dropout: got 1.0, needs a number below 1"),
    "unknown kind": (
        "network: {mixer: {score: scaled_dto}}\n",
        "3:26  network.mixer.score: no score is called 'scaled_dto'; did you mean 'scaled_dot'?",
    ),
    "task and tasks": ("tasks: {one: copy}\n", "3:1  tasks: stands beside `task`; keep one of them"),
    "unknown word of a few": (
        "network: {norm_placement: before}\n",
        "3:27  network.norm_placement: got 'before'. Needs one of: post, pre, sandwich",
    ),
    "heads that do not divide": (
        "network: {width: 20, mixer: {heads: 3}}\n",
        "3:37  network.mixer.heads: got 3, needs a divisor of the width 20 (1, 2, 4, 5, 10, 20) or a `head_width`",
    ),
    "heads that do not divide in an arm": (
        "network: {width: 20}\narms: {three: {network.mixer.heads: 3}}\n",
        "4:37  arms.three.'network.mixer.heads': got 3, needs a divisor of the width 20 (1, 2, 4, 5, 10, 20) or a `head_width`",
    ),
    "a width that heads do not divide, in an arm": (
        "arms: {odd: {network.width: 30}}\n",
        "3:29  arms.odd.'network.width': does not go with `network.mixer.heads` of the baseline: got 4, needs a divisor of the width 30 (1, 2, 3, 5, 6, 10, 15, 30) or a `head_width`",
    ),
    "two budgets": (
        "training: {steps: 10, tokens: 100}\n",
        "3:11  training: needs exactly one of steps, tokens, flops; got steps and tokens",
    ),
    "two batch sizes": (
        "training: {batch: {examples: 10, tokens: 100}}\n",
        "3:19  training.batch: needs exactly one of examples, tokens; got examples and tokens",
    ),
    "a warm-up as long as the budget": (
        "training: {steps: 10, batch: {examples: 10}, schedule: {warmup: 10}}\n",
        "3:65  training.schedule.warmup: got 10, not below the budget of 10 steps",
    ),
    "a share of one": (
        "training: {schedule: {warmup: 1.0}}\n",
        "3:31  training.schedule.warmup: got 1.0, needs a share of the budget from 0 to below 1, or a whole number in its unit",
    ),
    "a batch larger than the data": (
        "training: {batch: {examples: 500}}\n",
        "3:30  training.batch.examples: got 500, more than the 200 training examples of the task",
    ),
    "clashing changes": (
        "arms: {two: {network.mixer: gru, network.mixer.kind: attention}}\n",
        "3:54  arms.two.'network.mixer.kind': sets `network.mixer.kind`, which `network.mixer` sets too; keep one of them",
    ),
    "clashing mapping and key": (
        "arms: {two: {network.mixer: {heads: 2}, network.mixer.heads: 8}}\n",
        "3:62  arms.two.'network.mixer.heads': sets `network.mixer.heads`, which `network.mixer` sets too; keep one of them",
    ),
    "a key below a number": (
        "arms: {deep: {network.width.more: 2}}\n",
        "3:35  arms.deep.'network.width.more': `network.width` has no fields, so `more` cannot stand below it",
    ),
    "an arm like the baseline": (
        "arms: {same: {network.mixer.heads: 4}}\n",
        "3:8  arms.same: is the same as the baseline: no setting that counts differs",
    ),
    "two arms alike": (
        "arms:\n  one: {network.depth: 1}\n  two: {network.depth: 1}\n",
        "5:3  arms.two: is the same as the arm 'one': no setting that counts differs",
    ),
    "a reserved name": (
        "arms: {baseline: {network.depth: 1}}\n",
        "3:8  arms.baseline: the name 'baseline' is reserved; needs another",
    ),
    "an arm that changes the seeds": (
        "arms: {more: {seeds: 9}}\n",
        "3:15  arms.more.seeds: an arm cannot change `seeds`; it is the same for all arms",
    ),
    "an arm that changes the task": (
        "arms: {other: {task.letters: 5}}\n",
        "3:16  arms.other.'task.letters': an arm may change `task.training_examples` only; put other tasks under `tasks`",
    ),
    "a change hidden by a side": (
        "network: {encoder: {norm: batch}}\narms: {none: {network.norm: none}}\n",
        "4:29  arms.none.'network.norm': would be hidden: the baseline's `network.encoder.norm` sets it for itself; change that key instead",
    ),
    "a part with no place": (
        "network: {family: decoder, cross: attention}\n",
        "3:28  network.cross: has no place to act: a network of family decoder reads no other sequence",
    ),
    "a side that is not there": (
        "network: {family: decoder, encoder: {depth: 2}}\n",
        "3:28  network.encoder: has no place to act: a network of family decoder has no encoder",
    ),
    "pooling without an encoder to pool": (
        "network: {readout: {pooling: first}}\n",
        "3:11  network.readout: has no place to act: only the encoder family pools, this network is of family encoder_decoder",
    ),
    "an arm with no place to act": (
        "arms: {pooled: {network.readout.pooling: first}}\n",
        "3:17  arms.pooled.'network.readout.pooling': has no place to act: only the encoder family pools, this network is of family encoder_decoder",
    ),
    "a mixer that cannot read across": (
        "network: {cross: gru}\n",
        "3:18  network.cross: a gru cannot stand in cross position",
    ),
    "a decoder that reads backwards": (
        "network: {mixer: {kind: gru, bidirectional: true}}\n",
        "3:45  network.mixer.bidirectional: got true, but the decoder side must not see later tokens; use it under `encoder`",
    ),
    "a family that does not fit": (
        "network: {family: encoder}\n",
        "3:19  network.family: got 'encoder', but the task copy has pairs: needs encoder_decoder or decoder",
    ),
    "a layer that is not there": (
        "network: {depth: 2, layers: {encoder: {5: {norm: none}}}}\n",
        "3:43  network.layers.encoder.5: got layer 5, needs 0 to 1, or last",
    ),
    "one layer by two names": (
        "network: {depth: 2, layers: {encoder: {1: {norm: none}, last: {norm: batch}}}}\n",
        "3:63  network.layers.encoder.last: names the same layer as 1",
    ),
    "batch norm with accumulation": (
        "network: {norm: batch}\ntraining: {accumulate: 2}\n",
        "3:17  network.norm: batch norm sees one micro-batch at a time, so `training.accumulate` must be 1 with it, got 2",
    ),
    "a metric of another task": (
        "analysis: {metric: bleu}\n",
        "3:20  analysis.metric: the task copy has no metric called 'bleu'.",
    ),
    "a split that is not there": (
        "analysis: {split: tset}\n",
        "3:19  analysis.split: the task copy has no split called 'tset'; did you mean 'test'?",
    ),
    "an effect of nothing": (
        "analysis: {smallest_effect: 0}\n",
        "3:29  analysis.smallest_effect: got 0, needs a number above 0, {relative: 0.01}, or a mapping of task to number",
    ),
    "no seeds": (
        "seeds: 0\n",
        "3:8  seeds: got 0, needs a number of seeds, or a list of different whole numbers from 0 to 100000",
    ),
    "a seed twice": (
        "seeds: [1, 1]\n",
        "3:8  seeds: got [1, 1], needs a number of seeds, or a list of different whole numbers from 0 to 100000",
    ),
    "an empty generator": (
        "vary: [{}]\n",
        "3:8  vary[0]: needs exactly one of one_at_a_time, grid, fraction, leave_one_out, path; got none of them",
    ),
    "a generator from nowhere": (
        "vary: [{one_at_a_time: {network.depth: [1]}, from: wide}]\n",
        "3:24  vary[0].one_at_a_time: `from` names no arm.",
    ),
    "a wrong value in a generator": (
        "vary: [{grid: {network.depth: [1, 0]}}]\n",
        "3:35  vary[0].grid.'network.depth'[1]: got 0, needs a whole number above 0",
    ),
    "a claim about an arm that there is not": (
        "arms: {bare: {network.position: none}}\nclaims: [{arm: bear, expect: worse}]\n",
        "4:16  claims[0].arm: 'bear' names no arm; did you mean 'bare'?",
    ),
    "a claim about a metric that there is not": (
        "arms: {bare: {network.position: none}}\nclaims: [{arm: bare, metric: exact, expect: worse}]\n",
        "4:30  claims[0].metric: the task copy has no metric called 'exact'; did you mean 'exact_match'?",
    ),
    "a claim of equality without a margin": (
        "arms: {bare: {network.position: none}}\nclaims: [{arm: bare, expect: equivalent}]\n",
        "4:30  claims[0].expect: got equivalent, which needs a smallest_effect here or under `analysis`",
    ),
    "a claim that a number without a good direction is better": (
        "arms: {bare: {network.position: none}}\nclaims: [{arm: bare, metric: entropy, expect: better}]\n",
        "4:47  claims[0].expect: got better, but entropy has no good direction; needs higher, lower, different or equivalent",
    ),
    "a claim about nothing": ("claims: [{expect: worse}]\n", "3:10  claims[0]: needs either `arm` or `crossing`"),
    "a crossing with itself": (
        "claims: [{crossing: {x: network.width, series: [baseline, baseline]}, expect: exists}]\n",
        "3:48  claims[0].crossing.series: got ['baseline', 'baseline'], needs two different arms, such as [baseline, gru]",
    ),
    "published numbers of an arm that there is not": (
        "analysis: {reference: {bare: {exact_match: 0.9}, source: a paper}}\n",
        "3:24  analysis.reference.bare: names no arm.",
    ),
    "a claim that expects what nobody can": (
        "arms: {bare: {network.position: none}}\nclaims: [{arm: bare, expect: wurse}]\n",
        "4:30  claims[0].expect: got 'wurse'; did you mean 'worse'? Needs one of: better, different, equivalent, exists, higher, lower, not_worse, worse",
    ),
    "published numbers that are none": (
        "analysis: {reference: {baseline: 0.9}}\n",
        "3:23  analysis.reference: got {baseline: 0.9}, needs {ARM: {metric: number}, source: text}",
    ),
    "a pooled variance without pairs": (
        "analysis: {variance: pooled, pairing: none}\n",
        "3:11  analysis: `variance: pooled` takes the seed out of all arms, so it needs `pairing: seed`",
    ),
    "a way for devices to work together that networks of this size do not need": (
        "machine: {devices: 2, strategy: fsdp}\n",
        "3:33  machine.strategy: got 'fsdp'. Needs one of: auto, ddp, ddp_find_unused_parameters_true",
    ),
    "an arm that cannot name a file": (
        'arms: {"a b": {network.norm: batch}}\n',
        "3:8  arms.'a b': got 'a b', needs 1 to 100 of a-z, A-Z, 0-9, - and _, the first a letter or a digit",
    ),
    "a way for one device to work together": (
        "machine: {strategy: ddp}\n",
        "3:21  machine.strategy: got 'ddp', but it has no place to act with one device",
    ),
    "a precision that CPUs do not have": (
        "machine: {accelerator: cpu, precision: 16}\n",
        "3:40  machine.precision: got 16, but CPUs compute in 32 or bf16 only",
    ),
    "a precision that CPUs do not have, of an arm": (
        "machine: {accelerator: cpu}\narms: {half: {machine.precision: 16}}\n",
        "4:34  arms.half.'machine.precision': got 16, but CPUs compute in 32 or bf16 only",
    ),
    "more devices than a batch has examples": (
        "machine: {devices: 65}\n",
        "3:20  machine.devices: got 65, more than the 64 examples of a batch",
    ),
    "batch norm over a share of the batch": (
        "network: {norm: batch}\nmachine: {devices: 2}\n",
        "3:17  network.norm: batch norm would see the share of one device only, so with several it needs `sync: true`, got false",
    ),
    "key heads that do not divide the heads": (
        "network: {mixer: {key_heads: 3}}\n",
        "3:30  network.mixer.key_heads: got 3, needs a divisor of the 4 heads (1, 2, 4)",
    ),
    "fewer key heads where queries and keys are one": (
        "network: {mixer: {projections: shared_qk, key_heads: 2}}\n",
        "3:54  network.mixer.key_heads: got 2, but `projections: shared_qk` needs as many as heads",
    ),
    "slices wider than the input": (
        "network: {mixer: {projections: none, head_width: 8}}\n",
        "3:50  network.mixer.head_width: got 8, but `projections: none` needs heads * head_width = 64",
    ),
    "values that nobody projects": (
        "network: {mixer: {projections: none, value_width: 8}}\n",
        "3:51  network.mixer.value_width: got 8, but `projections: none` takes values as they are",
    ),
    "a parent that is no path": (
        "extends: 7\n",
        "3:10  extends: got 7, needs the path of a file, or a list of paths",
    ),
    "an unknown window": (
        "network: {mixer: {window: {kind: fixd}}}\n",
        "3:27  network.mixer.window: no window is called 'fixd'; did you mean 'fixed'?",
    ),
    "a window of nothing": (
        "network: {mixer: {window: {kind: fixed, size: 0}}}\n",
        "3:47  network.mixer.window.size: got 0, needs a whole number above 0",
    ),
    "one vocabulary of a decoder alone": (
        "network: {family: decoder, embeddings: {shared_vocabulary: true}}\n",
        "3:60  network.embeddings.shared_vocabulary: has no place to act: a decoder alone always has one vocabulary",
    ),
    "causal where nothing looks ahead": (
        "network: {mixer: gru, position: none, causal: false}\n",
        "3:39  network.causal: has no place to act: no mixer of the decoder could see later tokens",
    ),
    "a duration without unit": (
        "machine: {time_limit: 90}\n",
        "3:23  machine.time_limit: got 90, needs a whole number with s, m, h or d, such as 90s or 2h",
    ),
    "a part of nobody's": (
        "network: {mixer: {score: mylab.scores.tilted}}\n",
        "3:26  network.mixer.score: cannot import 'mylab.scores.tilted': No module named 'mylab'; looked beside the file, in the current folder and in the installed packages",
    ),
}

BOMB = b"name: a\na0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 9)
)

# The same for whole files.
FILES = {
    "unknown key in a task": (
        b"name: a\ntask: {kind: copy, leters: 2}\n",
        "2:20  task.leters: unknown key; did you mean 'letters'?",
    ),
    "unknown kind of task": (
        b"name: a\ntask: phrase\n",
        "2:7  task: no task is called 'phrase'; did you mean 'phrases'?",
    ),
    "a task without kind": (b"name: a\ntask: {letters: 2}\n", "2:7  task: needs a `kind`."),
    "no task": (b"name: a\n", "1:1  task: is missing; needs `task`, or several under `tasks`"),
    "no name": (
        b"task: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "1:1  name: is missing; it names the folder under reports/",
    ),
    "a name that leaves its folder": (
        b"name: ../../etc\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "1:7  name: got '../../etc', needs 1 to 100 of a-z, A-Z, 0-9, - and _, the first a letter or a digit",
    ),
    "a name that is a number": (
        b"name: 7\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "1:7  name: got 7, needs 1 to 100 of a-z, A-Z, 0-9, - and _, the first a letter or a digit",
    ),
    "splits larger than the space": (
        b"name: a\ntask: {kind: copy, letters: 2, shortest: 2, longest: 3, training_examples: 200}\n",
        "2:76  task.training_examples: the splits need 2,200 different sources, but these settings have only 12",
    ),
    "lengths the wrong way round": (
        b"name: a\ntask: {kind: copy, shortest: 5, longest: 4}\n",
        "2:7  task: shortest (5) must not be above longest (4)",
    ),
    "extends nothing": (
        b"name: a\nextends: nowhere.yaml\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "2:10  extends: there is no file 'nowhere.yaml' beside this one",
    ),
    "extends itself": (
        b"name: a\nextends: case.yaml\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "2:10  extends: the files extend each other in a circle: case.yaml -> case.yaml",
    ),
    "empty": (b"", "1:1  the file is empty; `paribus init` writes one to start from"),
    "only a comment": (b"# nothing\n", "1:1  the file is empty; `paribus init` writes one to start from"),
    "binary": (b"name: a\x00b\n", "1:1  the file holds binary data; needs YAML text"),
    "not UTF-8": (b"name: \xff\xfe\n", "1:1  the file is not UTF-8 text (byte 6)"),
    "a list": (b"- a\n", "1:1  needs `key: value` lines at the top"),
    "two documents": (b"name: a\n---\nname: b\n", "3:1  a second document starts here; an experiment is one document"),
    "a tab": (b"name: a\ntask:\n\tkind: copy\n", "3:1  a tab indents this line; YAML needs spaces"),
    "unclosed": (
        b"name: [a\n",
        "2:1  this is not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'",
    ),
    "an object": (
        b"name: !!python/object/apply:os.system [echo]\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "1:7  name: the tag !!python/object/apply:os.system is not allowed; a file is plain data",
    ),
    "an alias to nothing": (b"name: *no\n", "1:7  this is not YAML: found undefined alias 'no'"),
    "a key that is a list": (
        b"name: a\n? [a, b]\n: 1\ntask: {kind: copy, letters: 4, shortest: 2, longest: 4, training_examples: 200, validation_examples: 40, test_examples: 40}\n",
        "2:3  a key must be a plain word",
    ),
    "a bomb": (BOMB, "1:1  aliases make this file more than 50,000 values long"),
    "huge": (
        b"a: 1\n" * 300_000,
        "1:1  the file has 1,500,000 bytes, more than the 1,000,000 that an experiment may have",
    ),
}


def _check(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `paribus check case.yaml` says, after it has been seen to end well-behaved."""
    before = sorted(folder.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        main(["check", "case.yaml"])
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert sorted(folder.rglob("*")) == before
    return printed.err


def _heads(text: str) -> list[str]:
    """The lines that tell a problem, without the list of known words."""
    return [re.sub(r" Known: .*$", "", line) for line in text.splitlines() if line.startswith("case.yaml:")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_told_with_place_and_remedy(
    mistake: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, said = MISTAKES[mistake]
    (folder / "case.yaml").write_text(f"name: a\n{TASK}{text}")
    told = _check(folder, capsys)
    assert _heads(told) == [f"case.yaml:{said}"]
    assert told.endswith("1 problem in 1 file; nothing was run\n")


@pytest.mark.parametrize("mistake", FILES)
def test_each_damaged_file_is_told_in_one_sentence(
    mistake: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, said = FILES[mistake]
    (folder / "case.yaml").write_bytes(content)
    assert _heads(_check(folder, capsys)) == [f"case.yaml:{said}"]


def test_five_mistakes_are_told_at_once_with_carets_in_the_order_of_the_lines(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "case.yaml").write_text(
        f"name: a\n{TASK}"
        "network: {width: 20, norm: lyer}\n"
        "training: {steps: 10, batch: {examples: 10}, schedule: {warmup: 30}}\n"
        "arms:\n"
        "  three: {network.mixer.heads: 3}\n"
        "  cosine: {network.mixer.score: cosin}\n"
        "sedes: 3\n"
    )
    told = _check(folder, capsys)
    assert [head.split("  ")[0] for head in _heads(told)] == [
        f"case.yaml:{at}" for at in ("3:28", "4:65", "6:32", "7:33", "8:1")
    ]
    assert told.endswith("5 problems in 1 file; nothing was run\n")
    lines = told.splitlines()
    for index, line in enumerate(lines):
        if line.strip() == "^":
            column = int(lines[index - 2].split(":")[2].split()[0])
            assert line.index("^") == 4 + column - 1


def test_a_claim_that_cannot_be_read_does_not_hide_what_is_wrong_with_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "case.yaml").write_text(
        f"name: a\n{TASK}arms: {{bare: {{network.position: none}}}}\n"
        "claims:\n- {arm: bare, expect: superior}\n- {arm: bb, expect: worse}\n"
        "- {arm: bare, against: zz, expect: worse}\n"
    )
    assert [head.split(": ")[0] for head in _heads(_check(folder, capsys))] == [
        "case.yaml:5:23  claims[0].expect",
        "case.yaml:6:9  claims[1].arm",
        "case.yaml:7:24  claims[2].against",
    ]


def test_what_may_stand_in_a_file_that_is_not_there_is_not_missed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "case.yaml").write_text("name: a\nextends: gone.yaml\ntask: parity\n")
    assert [head.split("  ")[1] for head in _heads(_check(folder, capsys))] == [
        "extends: there is no file 'gone.yaml' beside this one"
    ]


def test_a_mistake_of_the_baseline_is_not_told_again_for_each_range(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "case.yaml").write_text(
        "name: a\ntask: {kind: reverse, letters: 2, shortest: 2, longest: 4}\n"
        "tuning: {trials: 4, space: {network.mixer: {choices: [gru, lstm]}}}\n"
    )
    (head,) = _heads(_check(folder, capsys))
    assert "the splits need 22,000 different sources" in head


def test_a_tied_embedding_has_no_tokens_to_read_out_where_the_task_has_labels(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "case.yaml").write_text(
        "name: a\ntask: {kind: parity}\nnetwork: {family: encoder, embeddings: {tied: true}}\n"
    )
    assert _heads(_check(folder, capsys)) == [
        "case.yaml:3:47  network.embeddings.tied: got true, but a task with labels reads out labels, not tokens"
    ]


def test_a_mistake_of_the_baseline_is_not_told_again_for_each_arm(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = "".join(f"  arm{n}: {{network.depth: {n + 3}}}\n" for n in range(5))
    (folder / "case.yaml").write_text(f"name: a\n{TASK}network: {{mixer: {{heads: 0}}}}\narms:\n{arms}")
    assert _heads(_check(folder, capsys)) == [
        "case.yaml:3:26  network.mixer.heads: got 0, needs a whole number above 0"
    ]


def test_known_words_are_listed_in_full(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from paribus.parts import kinds

    (folder / "case.yaml").write_text(f"name: a\n{TASK}network: {{mixer: {{score: nothing}}}}\n")
    assert f"Known: {', '.join(kinds('score'))}" in _check(folder, capsys)


def test_a_folder_and_a_missing_file_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _heads(_check(folder, capsys)) == ["case.yaml:1:1  there is no such file"]
    (folder / "case.yaml").mkdir()
    assert _heads(_check(folder, capsys)) == ["case.yaml:1:1  this is a folder; needs an experiment file"]
