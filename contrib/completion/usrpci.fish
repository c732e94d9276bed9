# SPDX-License-Identifier: BSD-2-Clause
#
# Completion of usrpci's command line for fish. The program itself says what may stand there.

function __usrpci_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in ($words[1] complete $words[2..] "$word" 2>/dev/null)
        switch $line
            case '<command>'
                set -l separator (contains -i -- -- $words)
                complete -C (string join -- ' ' $words[(math $separator + 1)..] "$word")
            case '<directory>'
                __fish_complete_directories "$word"
            case '*'
                echo $line
        end
    end
end

complete -c usrpci -f -a '(__usrpci_complete)'
