rule chapter:
    input:
        code=lambda to: made_from(to.dataset, to.chapter),
        first=lambda to: comes_first(**to),
    output:
        notebook("{dataset}", "{chapter}"),
    shell:
        "saltrust publish {wildcards.chapter} --dataset {wildcards.dataset} --profile {PROFILE} > /dev/null"
