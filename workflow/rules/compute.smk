# What a job computes and how long it takes is planned by `saltrust.study.planning`. The rules differ in their names
# alone, by which `--set-resources` and `--set-threads` tell them apart.


rule data:  # images, average masks, regions
    input:
        lambda to: before(to),
    output:
        touch(RESULTS / "{dataset}/computed/{stage,data}/{part}.done"),
    priority: lambda to: 4 + urgency(to)  # the first book waits for it
    params:
        environment=" ".join(f"{name}={value}" for name, value in KEEP_MEMORY.items()),
    resources:
        accelerator=0,
        mem_mb=memory,
    retries: 2  # one that was killed, for its memory mostly, begins anew with what the store has by then
    shell:
        "{params.environment} saltrust compute --dataset {wildcards.dataset} --profile {PROFILE}"
        " --stage {wildcards.stage} --part '{wildcards.part}'"


use rule data as networks with:  # one network
    output:
        touch(RESULTS / "{dataset}/computed/{stage,networks}/{part}.done"),
    priority: urgency
    resources:
        accelerator=GPU,
        mem_mb=memory,


use rule data as maps with:  # all maps of a network in one of its states
    output:
        touch(RESULTS / "{dataset}/computed/{stage,maps}/{part}.done"),
    priority: urgency
    resources:
        accelerator=GPU,
        mem_mb=memory,


use rule data as everything with:  # all of a data set that is small
    output:
        touch(RESULTS / "{dataset}/computed/{stage,all}/{part}.done"),
    priority: urgency
    resources:
        accelerator=GPU,
        mem_mb=memory,
